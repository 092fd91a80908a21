"""Sends chats with one key over one connection until it is stopped, and prints a line for each.

    load.py KEY RATE

A line has the time of the request and of the response by the monotonic clock, which all namespaces
share, the status, the code of an error, and the announced quota. Status 0: no response.
"""

import http.client
import json
import socket
import sys
import time

key, pause = sys.argv[1], 1 / float(sys.argv[2])
BODY = json.dumps({"model": "holo", "messages": [{"role": "user", "content": "ping"}]})
HEADERS = {"authorization": f"Bearer {key}", "content-type": "application/json"}


def send(connection):
    if connection.sock is None:
        connection.connect()
    # In one segment: over HTTP/1.1, the server closes a connection whose refused body has not arrived.
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    connection.request("POST", "/v1/chat/completions", BODY, HEADERS)
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
    response = connection.getresponse()
    body = response.read()
    code = "" if response.status == 200 else json.loads(body)["error"]["code"]
    return response.status, code, response.headers["ratelimit-policy"] or ""


connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=10)
while True:
    begin = time.monotonic()
    try:
        status, code, policy = send(connection)
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        status, code, policy = 0, type(error).__name__, ""
    end = time.monotonic()
    print(json.dumps([begin, end, status, code, policy]), flush=True)
    time.sleep(max(0.0, begin + pause - end))
