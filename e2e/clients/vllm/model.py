"""Make the directory of a model that vLLM can serve without a download: a small Llama architecture with random weights
(--load-format dummy), and a tokenizer with one token for each byte.

usage: model.py DIRECTORY
"""

import json
import pathlib
import sys

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

MARKS = ["<begin>", "<end>", "<turn>", "<over>"]
LONGEST = 16384

# Tokens of a conversation: <turn>role newline text <over>, for each message.
TEMPLATE = """{%- for message in messages -%}
<turn>{{ message['role'] }}
{{ message['content'] }}<over>
{%- endfor -%}
{%- if add_generation_prompt -%}<turn>assistant
{% endif -%}"""


def write(path: pathlib.Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=1))


def main(directory: str) -> None:
    out = pathlib.Path(directory)
    out.mkdir(parents=True, exist_ok=True)

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(MARKS + alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in MARKS])
    tokenizer.save(str(out / "tokenizer.json"))

    write(out / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": MARKS[0],
        "eos_token": MARKS[1],
        "pad_token": MARKS[1],
        "model_max_length": LONGEST,
        "chat_template": TEMPLATE,
    })
    write(out / "config.json", {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "torch_dtype": "bfloat16",
        "vocab_size": 320,
        "hidden_size": 512,
        "intermediate_size": 1408,
        "num_hidden_layers": 6,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "max_position_embeddings": LONGEST,
        "tie_word_embeddings": False,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
    })


if __name__ == "__main__":
    main(sys.argv[1])
