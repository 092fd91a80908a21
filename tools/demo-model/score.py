"""Asks a server that runs the model about held-out pictures, and prints a table.

    KEY=sk_… python score.py http://127.0.0.1:8000 [--number 200] [--model demo] [--check]

The server is any with OpenAI's API. With --check, the exit code is 1 if a task is below its target.
"""

import argparse
import base64
import json
import os
import sys
import time
import urllib.request

import held_out

TARGETS = {"colour": 0.95, "shape": 0.95, "count": 0.95, "label": 0.9, "click": 0.9}


def ask(arguments, scene, question):
    data = base64.b64encode(held_out.png(scene.pixels)).decode()
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    body = {
        "model": arguments.model,
        "temperature": 0,
        "max_tokens": 32,
        "messages": [
            {"role": "user", "content": [picture, {"type": "text", "text": question.text}]}
        ],
    }
    headers = {"Authorization": f"Bearer {os.environ['KEY']}", "Content-Type": "application/json"}
    url = f"{arguments.url}/v1/chat/completions"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)["choices"][0]["message"]["content"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--number", type=int, default=200, help="questions for each task")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--step", type=int, default=1, help="the grid of places, in pixels")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--wrong", action="store_true", help="print wrong answers")
    arguments = parser.parse_args()

    failed = False
    print("| task | right | of | share | target |\n|---|---|---|---|---|")
    began, asked = time.monotonic(), 0
    for task in held_out.TASKS:
        right = 0
        for scene, question in held_out.questions_of(task, arguments.number, arguments.step):
            answer = ask(arguments, scene, question)
            good = held_out.is_right(question, answer)
            right += good
            asked += 1
            if arguments.wrong and not good:
                print(f"{question.text!r}: {answer!r}, not {question.answer!r}", file=sys.stderr)
        share, target = right / arguments.number, TARGETS.get(task)
        failed |= target is not None and share < target
        shown = "" if target is None else f"{target:.0%}"
        print(f"| {task} | {right} | {arguments.number} | {share:.1%} | {shown} |", flush=True)
    print(f"{(time.monotonic() - began) / asked * 1000:.0f} ms a question", file=sys.stderr)
    if arguments.check and failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
