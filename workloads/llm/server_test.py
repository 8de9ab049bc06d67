#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs llm-server with a tiny model and talks to it: server_test.py PATH-TO-LLM-SERVER"""
import http.client
import json
import socket
import subprocess
import sys


def connect(port):
    return http.client.HTTPConnection("127.0.0.1", port, timeout=20)


def post(conn, body):
    data = body if isinstance(body, bytes) else json.dumps(body)
    conn.request("POST", "/v1/completions", data)
    return conn.getresponse()


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


def test_queue(port):
    """Two requests at once: the second waits for the first, both are right."""
    a, b = connect(port), connect(port)
    body = json.dumps({"prompt": "x", "max_tokens": 30, "stream": True})
    a.request("POST", "/v1/completions", body)
    b.request("POST", "/v1/completions", body)
    assert stream_ids(b.getresponse()) == stream_ids(a.getresponse())


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
                 b'{"prompt":"x","temperature":1}'):
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
    conn.request("GET", "/metrics")
    text = conn.getresponse().read().decode()
    values = dict(line.split() for line in text.splitlines() if line[0] != "#")
    assert float(values["llm_tokens_generated_total"]) >= 140


def main():
    server = subprocess.Popen([sys.argv[1], "--synthetic", "2M", "--context", "64", "--listen",
                               "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True)
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
        for test in (test_completions, test_queue, test_gone_client, test_bad_input, test_paths):
            test(port)
            print("ok", test.__name__)
        server.terminate()
        assert server.wait(20) == 0
        return 0
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    sys.exit(main())
