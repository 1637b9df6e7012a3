#!/usr/bin/env python3
"""seeds.py NAME FOLDER: writes what the fuzz target NAME begins with, from the vectors and the corpus.

Inputs are data of others and stay where they are: CONTAINERPILOT_VECTORS and CONTAINERPILOT_CORPUS, by default
shared/vectors and shared/corpus beside the sources. Without them a fuzzer begins with nothing.
"""
import base64
import json
import os
import pathlib
import sys

SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared"
VECTORS = pathlib.Path(os.environ.get("CONTAINERPILOT_VECTORS") or SHARED / "vectors")
CORPUS = pathlib.Path(os.environ.get("CONTAINERPILOT_CORPUS") or SHARED / "corpus")
LARGEST = 16 * 1024  # bigger seeds only slow a fuzzer down
WIRE = [
    b'\0[{"Node":{"Address":"10.0.0.1"},"Service":{"ID":"a-1","Address":"","Port":80,"Tags":["x"]}}]',
    b'\0{"a-1":{"ID":"a-1","Service":"a","Port":80,"Address":"10.0.0.1","Tags":null,"Meta":{"k":"v"}}}',
    b'\0{"service:a-1":{"CheckID":"service:a-1","ServiceID":"a-1","Status":"passing","Output":"ok"}}',
    b'\1{"header":{"revision":"7"},"kvs":[{"key":"L2E=","value":"eyJpZCI6ImEifQ=="}]}',
    b'\1{"result":{"created":true,"events":[{"type":"DELETE","kv":{"key":"L2E="}}]}}',
    b'\1{"ID":"7587","TTL":"10"}', b'\1{"code":16,"message":"etcdserver: invalid auth token"}',
    b'\1/containerpilot/a/a-1/service', b'\1{"id":"a","name":"b","address":"1.2.3.4","port":1,"tags":null}',
    b'\2{"ID":"a-1","Name":"a","Port":80,"Check":{"TTL":"5s","Status":"passing"}}', b'\2{"Status":"passing"}',
]
SENSOR = [b"42", b" -1.5e3\n", b"NaN", b"0x1p-2", b'{"depth": 7, "queues": [{"oldest": "1.5"}], "name": "mail"}',
          b"# HELP a_total Things.\n# TYPE a_total counter\na_total{x=\"y\"} 3 1700000000000\n",
          b"# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 0.5\nh_count 1\n# TYPE s summary\ns{quantile=\"0.5\"} 2\n"]
# Two records of _x._tcp.a, then a header alone.
DNS = [bytes.fromhex("000081800001000200000000" "025f78045f746370016100" "00210001"
                     "c00c002100010000003c000a" "0001000500500162c014" "c00c002100010000003c000a" "0000000000510163c014"),
       bytes.fromhex("000081800001000000000000" "025f78045f746370016100" "00210001"), b"\0\0\x81\x83" + bytes(8)]
HTTP = [b"GET /v3/ping HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v3/metric HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}GET / HTTP/1.0\r\n\r\n",
        b"PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nT: 1\r\n\r\n"]


def vectors(name):
    path = VECTORS / f"{name}.json"
    for vector in json.loads(path.read_text(encoding="utf-8")) if path.exists() else []:
        text = vector.get("in", "")
        if "in_b64" in vector:
            yield base64.b64decode(vector["in_b64"])
        elif isinstance(text, str) and vector.get("fn", "config") == "config":
            yield text.encode()


def files():
    for path in sorted(CORPUS.glob("v*/*")):
        yield path.read_bytes()


def seeds(name):
    if name == "template":
        return [*vectors("template"), *files()]
    if name == "json5":
        return [*vectors("json5"), *files()]
    if name == "config":
        return [*vectors("duration"), *files()]
    return {"wire": WIRE, "dns": DNS, "http_server": HTTP, "sensor": SENSOR}[name]


def main():
    name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        if len(seed) <= LARGEST:
            (folder / f"seed{number:05}").write_bytes(seed)


if __name__ == "__main__":
    main()
