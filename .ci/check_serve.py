"""Run a command that ends in `deskbell serve` or `demo`, post an event to it, see it in the demo channels, stop it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request

EVENT = {
    "payload": {"action": "helpdesk_created", "ticketid": "7", "subject": "CI says hello", "priority": "High"}
}
PATIENCE = 240.0


def main(command: str) -> None:
    """Exit 0 only when the event was accepted, shown, and the process stopped cleanly."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    watchdog = threading.Timer(PATIENCE, os.killpg, (process.pid, signal.SIGKILL))
    watchdog.start()
    try:
        address, path = read_places(process)
        answer = post(address + path)
        print(f"{address} accepted the event: {answer}")
        wait_until_shown(address, answer["deliveries"])
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        code = process.wait(60)
        watchdog.cancel()
    if code not in (0, -signal.SIGTERM):
        sys.exit(f"serve ended with {code}")


def read_places(process: subprocess.Popen) -> tuple[str, str]:
    """The address from the line on stdout, and the path with this start's token."""
    address, path = "", ""
    for line in process.stdout:
        print("|", line, end="")
        address = address or "".join(re.findall(r"^deskbell \S+ listening on (\S+)", line))
        path = path or "".join(re.findall(r"(/events/clientxcms/\S+)", line))
        if address and path:
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return address, path
    sys.exit("serve ended before it listened")


def post(url: str) -> dict:
    request = urllib.request.Request(
        url, json.dumps(EVENT).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def wait_until_shown(address: str, deliveries: int) -> None:
    """Until every delivery shows on the page of the demo channels."""
    for _ in range(100):
        with urllib.request.urlopen(f"{address}/demo/", timeout=10) as response:
            page = response.read().decode()
        shown = sum("CI says hello" in article for article in page.split("<article")[1:])
        if shown >= deliveries > 0:
            print(f"{shown} messages show in the demo channels")
            return
        time.sleep(0.1)
    sys.exit("the messages never showed in the demo channels")


if __name__ == "__main__":
    main(sys.argv[1])
