"""Loads tokenizer, weights and adapter onto a device. Imported when a model opens, for it needs torch."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, GenerationConfig

from wmsforge.errors import StepError
from wmsforge_solar.memory import GIB, free_bytes, is_out_of_memory, linear_layers, needed_bytes, out_of_memory
from wmsforge_solar.wanted import Wanted
from wmsforge_solar.weights import Place

HUB_TIMEOUT_S = 10
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


@dataclass(frozen=True)
class Loaded:
    """A model that can generate."""

    model: Any
    tokenizer: Any
    device: Any
    dtype: Any
    context_tokens: int
    """Tokens of a prompt with its answer at most."""
    end_tokens: tuple[int, ...]
    pad_token: int
    model_type: str


def load(wanted: Wanted) -> Loaded:
    """Load everything; what is in the hub's cache or local is loaded without the network.

    Raises:
        StepError: If something cannot be found, does not fit together, or does not fit the memory.
    """
    _hush()
    device = choose_device(wanted)
    dtype = choose_dtype(wanted, device)
    _ask_hub(wanted, wanted.model, wanted.revision, "config.json", "model")
    if wanted.adapter is not None:
        _ask_hub(wanted, wanted.adapter, wanted.adapter_revision, "adapter_config.json", "adapter")
    try:
        return _load(wanted, device, dtype)
    except StepError:
        raise
    except Exception as error:  # the loaders raise OSError, ValueError, KeyError, RuntimeError and errors of their own
        if is_out_of_memory(error):
            raise out_of_memory(wanted.id, wanted.name, f"while loading on {device}", quantized=wanted.nf4) from error
        raise StepError(
            f"Model {wanted.id!r}: {_named(wanted)} cannot be loaded: {type(error).__name__}: {_first_line(error)}\n"
            f"Check the names; a model must be a causal language model, an adapter one of PEFT made for it."
        ) from error


def _load(wanted: Wanted, device: Any, dtype: Any) -> Loaded:
    place = wanted.model
    source: dict[str, Any] = {"revision": wanted.revision} if not place.local else {}
    if place.gguf:
        source["gguf_file"] = place.gguf
    elif place.inner:
        source["subfolder"] = place.inner
    config = AutoConfig.from_pretrained(place.root, trust_remote_code=False, **source)
    _check_memory(wanted, config, device, dtype)
    tokenizer = AutoTokenizer.from_pretrained(place.root, trust_remote_code=False, **source)
    if place.gguf:
        source["config"] = config  # reading it anew takes seconds for a large vocabulary
        if hasattr(transformers, "GgufConfig"):  # before 5.24 weights were always unpacked
            source["quantization_config"] = transformers.GgufConfig(dequantize=True)
    elif wanted.nf4:
        source["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    model = AutoModelForCausalLM.from_pretrained(
        place.root, trust_remote_code=False, dtype=dtype, device_map={"": str(device)}, **source
    )
    if wanted.nf4 and place.gguf:
        _quantize(model, dtype, device)
    if wanted.adapter is not None:
        model = _with_adapter(model, wanted.adapter, wanted.adapter_revision, device)
    if device.type == "cpu":
        _keep_layout(model)
    model.requires_grad_(False)
    model.eval()
    text = config.get_text_config()
    end_tokens = _end_tokens(model, tokenizer)
    pad_token = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else end_tokens[0]
    # What the model's own file sets, such as a repetition penalty or sampling, is for its own use, not for ours.
    model.generation_config = GenerationConfig(eos_token_id=list(end_tokens), pad_token_id=pad_token)
    return Loaded(
        model=model,
        tokenizer=tokenizer,
        device=device,
        dtype=dtype,
        context_tokens=text.max_position_embeddings,
        end_tokens=end_tokens,
        pad_token=pad_token,
        model_type=str(config.model_type),
    )


def _hush() -> None:
    """Keep the libraries' progress bars and advice out of the run's own progress; what matters is said by us."""
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def choose_device(wanted: Wanted) -> Any:
    """Return the device: the first GPU if there is one, unless the recipe names another.

    Raises:
        StepError: If the recipe names one that is not there.
    """
    if wanted.device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted.device)
    except RuntimeError as error:
        raise StepError(
            f"Model {wanted.id!r}: device: {wanted.device} is no device.\nWrite auto, cpu, cuda, cuda:1 or mps."
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise StepError(
            f"Model {wanted.id!r}: device: {wanted.device} was asked for; torch {torch.__version__} sees "
            f"{torch.cuda.device_count()} CUDA GPUs.\nWrite device: auto, or install a torch build for your GPU."
        )
    return device


def choose_dtype(wanted: Wanted, device: Any) -> Any:
    """Return the type of the numbers: bfloat16 where the device computes it well, float32 on a CPU.

    Weights of 4 bits are computed in bfloat16, on a CPU too.
    """
    if wanted.dtype != "auto":
        return DTYPES[wanted.dtype]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if wanted.nf4:
        return torch.bfloat16
    return torch.float32 if device.type == "cpu" else torch.float16


def _ask_hub(wanted: Wanted, place: Place, revision: str | None, file: str, option: str) -> None:
    """Ask once whether the hub has a repository; the library itself would try for minutes without a network."""
    from huggingface_hub import HfApi, try_to_load_from_cache

    if place.local:
        return
    file = place.gguf or (f"{place.inner}/{file}" if place.inner else file)
    if isinstance(try_to_load_from_cache(place.root, file, revision=revision), str):
        return
    try:
        HfApi().model_info(place.root, revision=revision, timeout=HUB_TIMEOUT_S)
    except Exception as error:  # the hub's errors have no base in common, and it changes its HTTP library
        raise StepError(
            f"Model {wanted.id!r}: option {option!r} names {place.root!r}, which is no local folder, not in the cache, "
            f"and the model hub gave {type(error).__name__}: {_first_line(error)}\n"
            f"Check the name and the network; a private model needs the variable HF_TOKEN; a local one its folder."
        ) from error


def _check_memory(wanted: Wanted, config: Any, device: Any, dtype: Any) -> None:
    """Refuse what cannot fit: on a CPU the kernel would kill the run without a word."""
    free = free_bytes(device)
    needed = needed_bytes(config, dtype, nf4=wanted.nf4)
    if free is not None and needed > free:
        kind = "4 bits" if wanted.nf4 else str(dtype).removeprefix("torch.")
        what = f"on {device}: the weights take {needed / GIB:.1f} GiB in {kind}, {free / GIB:.1f} GiB are free"
        raise out_of_memory(wanted.id, wanted.name, what, quantized=wanted.nf4)


def _quantize(model: Any, dtype: Any, device: Any) -> None:
    """Turn a model's linear layers into 4-bit NF4 ones in place; transformers does that itself, but not for GGUF."""
    import bitsandbytes as bnb

    for name, layer in linear_layers(model).items():
        with torch.device("meta"):
            new = bnb.nn.Linear4bit(
                layer.in_features, layer.out_features, layer.bias is not None, dtype, quant_type="nf4"
            )
        new.weight = bnb.nn.Params4bit(
            layer.weight.data, requires_grad=False, quant_type="nf4", compress_statistics=True, module=new
        )
        if layer.bias is not None:
            new.bias = layer.bias
        model.set_submodule(name, new.to(device))
    model.is_loaded_in_4bit = True  # PEFT chooses its kind of layer by this


def _with_adapter(model: Any, place: Place, revision: str | None, device: Any) -> Any:
    from peft import PeftModel, get_peft_model_state_dict
    from peft.utils import load_peft_weights

    source = {} if place.local else {"revision": revision, "subfolder": place.inner or None}
    adapted = PeftModel.from_pretrained(model, place.root, is_trainable=False, torch_device=str(device), **source)
    brought = {name for name in load_peft_weights(place.root, device="cpu", **source) if "lora_" in name}
    wanted = {name for name in get_peft_model_state_dict(adapted) if "lora_" in name}
    if brought != wanted:  # PEFT would go on with random or no changes, and the answers be those of the base
        raise ValueError(
            f"it was made for another model: of its {len(brought)} weights {len(brought & wanted)} fit, "
            f"{len(wanted)} are needed"
        )
    return adapted


def _keep_layout(model: Any) -> None:
    """Keep 4-bit weights as they are stored.

    bitsandbytes 0.50 repacks them for AVX512-BF16 at the first call in eval mode and cannot undo that:
    who trained or merged the same model afterwards would get wrong gradients without an error.
    """
    for layer in model.modules():
        if type(layer).__name__ == "Linear4bit":
            layer.support_avx512bf16_for_cpu = False


def _end_tokens(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Return what ends an answer: the end tokens of the model's file and of the tokenizer, and those of turns."""
    told = model.generation_config.eos_token_id
    tokens = [*(told if isinstance(told, list) else [told]), tokenizer.eos_token_id]
    vocabulary = tokenizer.get_added_vocab()
    tokens += [vocabulary.get(name) for name in ("<end_of_turn>", "<|im_end|>", "<|eot_id|>")]
    return tuple(dict.fromkeys(token for token in tokens if token is not None))


def _named(wanted: Wanted) -> str:
    if wanted.adapter is None:
        return wanted.name
    return f"{wanted.name} with the adapter {wanted.adapter.root}/{wanted.adapter.inner}".rstrip("/")


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
