"""Korean for wmsforge: filters that need morphemes, similarity or knowledge of Korean personal data."""

from wmsforge.hookspecs import Register, hookimpl


@hookimpl
def register_filters(register: Register) -> None:
    register(
        "grounded",
        "wmsforge_korean.grounded:GroundedFilter",
        summary="Drops answers that their passages do not support; scores the others.",
    )
    register(
        "near-duplicates",
        "wmsforge_korean.near_duplicates:NearDuplicatesFilter",
        summary="Keeps one of the questions that ask the same, in whatever order they came.",
    )
    register(
        "personal-data",
        "wmsforge_korean.personal_data:PersonalDataFilter",
        summary="Masks or drops Korean personal data; order, invoice and location codes stay.",
    )
