#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs llm-server with a tiny model and talks to it: server_test.py PATH-TO-LLM-SERVER"""
import http.client
import json
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


PACE = 40  # tokens a second


def connect(port):
    return http.client.HTTPConnection("127.0.0.1", port, timeout=20)


def post(conn, body):
    data = body if isinstance(body, bytes) else json.dumps(body)
    conn.request("POST", "/v1/completions", data)
    return conn.getresponse()


def metrics(port):
    conn = connect(port)
    conn.request("GET", "/metrics")
    text = conn.getresponse().read().decode()
    return {name: float(value) for name, value in (line.split() for line in text.splitlines() if line[0] != "#")}


def stream_ids(response):
    """Token ids of a stream, checking its form."""
    ids = []
    for line in response:
        if line == b"\n":
            continue
        assert line.startswith(b"data: "), line
        if line == b"data: [DONE]\n":
            return ids
        event = json.loads(line[6:])
        assert event["index"] == len(ids)
        assert event["choices"][0]["token_id"] == event["token_id"]
        ids.append(event["token_id"])
    raise AssertionError("the stream ended without [DONE]")


def test_completions(port):
    conn = connect(port)
    request = {"prompt": [1, 2, 3], "max_tokens": 40}
    whole = json.load(post(conn, request))
    ids = whole["choices"][0]["token_ids"]
    assert len(ids) == 40 and whole["usage"]["prompt_tokens"] == 3
    again = post(conn, dict(request, stream=True))  # on the same connection
    assert stream_ids(again) == ids
    again.read()
    text = json.load(post(conn, {"prompt": whole["choices"][0]["text"], "max_tokens": 1}))
    assert text["usage"]["prompt_tokens"] == 40


def test_together(port):
    """Two requests at once are both right."""
    a, b = connect(port), connect(port)
    body = json.dumps({"prompt": "x", "max_tokens": 30, "stream": True})
    a.request("POST", "/v1/completions", body)
    b.request("POST", "/v1/completions", body)
    assert stream_ids(b.getresponse()) == stream_ids(a.getresponse())


def test_beside_an_endless_stream(port):
    """Another request is answered while a stream goes on, with the words that it gets alone."""
    request = {"prompt": "y", "max_tokens": 20}
    alone = json.load(post(connect(port), request))
    stream = connect(port)
    response = post(stream, {"prompt": "x", "max_tokens": 1000000, "stream": True})
    response.readline()
    beside = json.load(post(connect(port), request))
    assert beside["choices"] == alone["choices"]
    assert metrics(port)["llm_requests_running"] >= 1
    assert response.readline() == b"\n"  # it is still there
    response.close()
    stream.close()


def test_sampling(port):
    request = {"prompt": "x", "max_tokens": 30, "temperature": 1.5, "top_p": 0.9, "seed": 1}

    def ids(**changes):
        return json.load(post(connect(port), dict(request, **changes)))["choices"][0]["token_ids"]
    assert ids() == ids() != ids(seed=2)
    assert ids(temperature=0) == ids(temperature=0, seed=2)


def test_stop(port):
    whole = json.load(post(connect(port), {"prompt": "x", "max_tokens": 10}))["choices"][0]
    word = whole["text"].split()[4]
    answer = json.load(post(connect(port), {"prompt": "x", "max_tokens": 10, "stop": [word]}))["choices"][0]
    assert answer["finish_reason"] == "stop" and len(answer["token_ids"]) <= 5, answer
    assert answer["text"] == whole["text"][:whole["text"].index(word)]


def test_gone_client(port):
    """A client that leaves in the middle of a long stream does not hold up the next."""
    conn = connect(port)
    response = post(conn, {"prompt": "x", "max_tokens": 1000000, "stream": True})
    response.readline()
    response.close()
    conn.close()
    assert post(connect(port), {"prompt": "x", "max_tokens": 2}).status == 200


def test_bad_input(port):
    for body in (b"", b"{", b"\xff\xfe", b"[" * 100000, b'{"prompt":{}}',
                 b'{"prompt":"x","temperature":9}'):
        response = post(connect(port), body)
        assert response.status == 400 and json.load(response)["error"]["message"], body
    for raw in (b"GARBAGE\r\n\r\n", b"\r\n" * 10, b"\x00" * 20000,
                b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
            s.sendall(raw)
            assert s.recv(65536).startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")), raw


def test_paths(port):
    conn = connect(port)
    for method, path, status in (("GET", "/health", 200), ("GET", "/v1/models", 200),
                                 ("GET", "/nothing", 404), ("PUT", "/health", 405)):
        conn.request(method, path)
        response = conn.getresponse()
        response.read()
        assert response.status == status, path
    conn.request("GET", "/v1/models")
    assert json.load(conn.getresponse())["data"][0]["max_model_len"] == 64
    values = metrics(port)
    assert values["llm_tokens_generated_total"] >= 140
    assert values["llm_time_to_first_token_seconds_count"] >= 5
    assert values["llm_kv_cache_capacity_tokens"] == 128
    assert values["llm_requests_waiting"] == values["llm_requests_running"] == 0


def chat(port, messages, **more):
    conn = connect(port)
    conn.request("POST", "/v1/chat/completions", json.dumps({"messages": messages, **more}))
    return conn.getresponse()


def chat_deltas(response):
    """A streamed chat's text, its finish reason and usage."""
    text, finish, usage = "", None, None
    for line in response:
        if line.startswith(b"data: {"):
            event = json.loads(line[6:])
            usage = event.get("usage")
            for choice in event["choices"]:
                assert finish is None
                text += choice["delta"]["content"]
                finish = choice["finish_reason"]
    return text, finish, usage


def test_chat(port):
    messages = [{"role": "user", "content": "caf\u00e9 <|eot_id|>"}]
    whole = json.load(chat(port, messages, max_tokens=24))
    choice = whole["choices"][0]
    # A mark in the content is text: 4 for "begin" and the header's marks, 4 letters "user", ...
    assert whole["usage"]["prompt_tokens"] > 4 + len("user") + len("<|eot_id|>")
    text, finish, usage = chat_deltas(chat(port, messages, max_tokens=24, stream=True,
                                           stream_options={"include_usage": True}))
    assert text == choice["message"]["content"] and finish == choice["finish_reason"]
    assert usage.pop("prompt_tokens_details") == {"cached_tokens": usage["prompt_tokens"] - 1}
    assert usage.items() <= whole["usage"].items()
    if finish == "stop":
        assert choice["token_ids"][-1] == EOT and len(choice["token_ids"]) < 24
    return messages, choice["message"]


def test_conversation(port):
    """The next turn computes only what is new."""
    before = metrics(port)
    messages = [{"role": "user", "content": "a rather long beginning of a conversation"}]
    answer = json.load(chat(port, messages, max_tokens=8))
    messages += [answer["choices"][0]["message"], {"role": "user", "content": "more"}]
    again = json.load(chat(port, messages, max_tokens=8))
    after = metrics(port)
    computed = after["llm_prompt_tokens_computed_total"] - before["llm_prompt_tokens_computed_total"]
    reused = after["llm_prompt_tokens_reused_total"] - before["llm_prompt_tokens_reused_total"]
    assert sum(a["usage"]["prompt_tokens_details"]["cached_tokens"] for a in (answer, again)) == reused
    assert reused >= answer["usage"]["prompt_tokens"] - 1
    assert computed + reused == answer["usage"]["prompt_tokens"] + again["usage"]["prompt_tokens"]


def tokenize(port, **request):
    conn = connect(port)
    conn.request("POST", "/tokenize", json.dumps(request))
    return json.load(conn.getresponse())


def test_tokenize(port):
    """Text as the ids that a prompt may also be given as."""
    whole = tokenize(port, prompt="caf\u00e9 ")
    bare = tokenize(port, prompt="caf\u00e9 ", add_special_tokens=False)
    assert whole["tokens"] == [256] + bare["tokens"], (whole, bare)
    assert (whole["count"], whole["max_model_len"]) == (7, 512), whole
    as_text, as_ids = (json.load(post(connect(port), {"prompt": p, "max_tokens": 8}))["choices"]
                       for p in ("caf\u00e9 ", whole["tokens"]))
    assert as_text == as_ids
    assert "error" in tokenize(port, prompt=7)


def test_pace(port):
    """A paced server takes its time over each of two requests."""
    request = {"prompt": "abc", "max_tokens": PACE // 2 + 1}

    def text():
        return json.load(post(connect(port), request))["choices"][0]["token_ids"]
    started = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        a, b = pool.submit(text), pool.submit(text)
        assert len(a.result()) == PACE // 2 + 1 and a.result() == b.result()
    assert time.monotonic() - started > 0.45


def test_curl(port):
    """A client that nobody here wrote."""
    body = json.dumps({"prompt": "abc", "max_tokens": 5, "stream": True})
    done = subprocess.run(["curl", "-sN", "--max-time", "20", f"http://127.0.0.1:{port}/v1/completions",
                           "-H", "Content-Type: application/json", "-d", body],
                          capture_output=True, text=True, check=True)
    events = [line for line in done.stdout.splitlines() if line]
    assert events[-1] == "data: [DONE]" and len(events) <= 6
    assert all(json.loads(e[6:])["object"] == "text_completion" for e in events[:-1])


def test_needs(path):
    """Weights and cache as the device has them, without a device."""
    done = subprocess.run([sys.argv[1], "--model", str(path), "--context", "64", "--needs"], capture_output=True, text=True,
                          timeout=20, check=True)
    needs = json.loads(done.stdout)
    rows, rotations = 272, 16  # of embedding and output, both rounded up to 16
    floats = 64 * (2 * rows + 64 + 2 * 32 + 64 + 3 * 96) + 3 * 64 + rotations
    assert abs(needs["weight_bytes"] - 4 * floats) <= 256, needs
    assert needs["cache_bytes"] == 2 * 128 * 32 * 2 and needs["context"] == 64, needs
    print("ok test_needs")


def gguf_string(s):
    return struct.pack("<Q", len(s.encode())) + s.encode()


def gguf_value(v):
    if isinstance(v, str):
        return struct.pack("<I", 8) + gguf_string(v)
    if isinstance(v, float):
        return struct.pack("<If", 6, v)
    if isinstance(v, bool):
        return struct.pack("<I?", 7, v)
    if isinstance(v, int):
        return struct.pack("<II", 4, v)
    kind, pack = (8, gguf_string) if isinstance(v[0], str) else (5, lambda i: struct.pack("<i", i))
    return struct.pack("<IIQ", 9, kind, len(v)) + b"".join(map(pack, v))


def byte_names():
    """GPT-2's character for each byte."""
    own = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(b) if b in own else chr(next(others)) for b in range(256)]


MARKS = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
EOT = 259


def write_model(path):
    """A model of random F32 weights with a vocabulary of bytes and Llama 3's marks."""
    dim, hidden, vocab = 64, 96, 260
    keys = {"general.architecture": "llama", "general.name": "tiny", "llama.embedding_length": dim,
            "llama.block_count": 1, "llama.feed_forward_length": hidden, "llama.attention.head_count": 4,
            "llama.attention.head_count_kv": 2, "llama.context_length": 512,
            "llama.attention.layer_norm_rms_epsilon": 1e-5, "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": "llama-bpe", "tokenizer.ggml.tokens": byte_names() + MARKS,
            "tokenizer.ggml.token_type": [1] * 256 + [3] * 4, "tokenizer.ggml.merges": ["a b"],
            "tokenizer.ggml.bos_token_id": 256, "tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.eos_token_id": EOT,
            "tokenizer.chat_template": "... <|start_header_id|> ..."}
    layer = {"attn_norm": (dim, 1), "ffn_norm": (dim, 1), "attn_q": (dim, dim), "attn_k": (dim, dim // 2),
             "attn_v": (dim, dim // 2), "attn_output": (dim, dim), "ffn_gate": (dim, hidden),
             "ffn_up": (dim, hidden), "ffn_down": (hidden, dim)}
    tensors = {"token_embd.weight": (dim, vocab), "output_norm.weight": (dim, 1), "output.weight": (dim, vocab),
               **{f"blk.0.{name}.weight": shape for name, shape in layer.items()}}
    rng, infos, data = random.Random(5), b"", b""
    for name, (cols, rows) in tensors.items():
        infos += gguf_string(name) + struct.pack("<IQQIQ", 2, cols, rows, 0, len(data))
        data += struct.pack(f"<{cols * rows}f", *(rng.gauss(1 if rows == 1 else 0, 0.2) for _ in range(cols * rows)))
        data += bytes(-len(data) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    head += b"".join(gguf_string(k) + gguf_value(v) for k, v in keys.items()) + infos
    path.write_bytes(head + bytes(-len(head) % 32) + data)


def serve(tests, *options):
    """Runs the tests against a server; 77 where there is no OpenCL."""
    server = subprocess.Popen([sys.argv[1], *options, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline()
        log = []
        for text in server.stderr:
            log.append(text)
            if text == "ready\n":
                break
        else:
            if "no OpenCL" in "".join(log):
                print("skipped:", log[-1])
                return 77
            raise AssertionError("".join(log))
        port = int(line.rsplit(":", 1)[1])
        for test in tests:
            test(port)
            print("ok", test.__name__)
        server.terminate()
        assert server.wait(20) == 0
        return 0
    finally:
        server.kill()
        server.wait()


def main():
    status = serve((test_completions, test_together, test_beside_an_endless_stream, test_sampling, test_stop,
                    test_gone_client, test_bad_input, test_paths), "--synthetic", "2M", "--context", "64")
    if status:
        return status
    status = serve((test_pace,), "--synthetic", "2M", "--context", "64", "--pace", str(PACE))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.gguf"
        write_model(path)
        status = serve((test_chat, test_conversation, test_tokenize, test_curl), "--model", str(path))
        test_needs(path)
        path.write_bytes(path.read_bytes()[:-100])
        done = subprocess.run([sys.argv[1], "--model", str(path)], capture_output=True, text=True, timeout=20)
        assert done.returncode == 1 and 'tensor "blk.0.ffn_down.weight"' in done.stderr, done.stderr
    return status


if __name__ == "__main__":
    sys.exit(main())
