"""The job that uploads a folder to the model hub."""

from __future__ import annotations

from typing import Any

from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError

from wmsforge.env.worker import JobError, Report


def push(job: dict[str, Any], report: Report) -> dict[str, Any]:
    """Upload the folder and return the address of the commit.

    The token is read by the hub's library from the environment; it is in no job, file or message of ours.

    Args:
        job: folder; repo, "owner/name"; private, for a repository that is new; ignore, names that stay here.
    """
    if get_token() is None:
        raise JobError("The model hub wants a token, and there is none.\nSet it: export HF_TOKEN=...")
    api = HfApi()
    try:
        api.create_repo(job["repo"], private=job["private"], exist_ok=True)
        report.note(f"uploading to {job['repo']}")
        commit = api.upload_folder(
            repo_id=job["repo"],
            folder_path=job["folder"],
            ignore_patterns=job["ignore"],
            commit_message="Model made by wmsforge",
        )
    except HfHubHTTPError as error:
        code = error.response.status_code if error.response is not None else "no answer"
        raise JobError(
            f"The model hub refused {job['repo']!r}: {code}.\n"
            f"Check the name, and that the token in HF_TOKEN may write there; files that arrived are not sent again."
        ) from error
    return {"url": str(commit.commit_url), "commit": str(commit.oid)}
