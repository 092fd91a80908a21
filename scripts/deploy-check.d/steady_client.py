"""Sends a request a connection for some seconds, and prints the number of responses and of failures.

    steady_client.py URL SECONDS
"""

import sys
import time
import urllib.error
import urllib.request

url, end = sys.argv[1], time.monotonic() + float(sys.argv[2])
answered = failed = 0
while time.monotonic() < end:
    try:
        with urllib.request.urlopen(url, timeout=20) as response:
            answered += response.status == 200
    except urllib.error.HTTPError:
        # Such as that of the limit of the route.
        answered += 1
    except OSError as error:
        print(error, file=sys.stderr)
        failed += 1
    time.sleep(0.01)
print(answered, failed)
