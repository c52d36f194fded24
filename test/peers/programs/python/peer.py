"""hyper-h2 as a peer: see test/helpers/interop-peer.ts for the words that it takes."""

import json
import sys

from client import run_client
from server import serve


def main(role, *args):
    if role == "server":
        serve(int(args[0]))
    elif role == "client":
        url, window, _, command, *rest = args
        print(json.dumps(run_client(url, int(window), command, rest)))
    else:
        raise SystemExit(f"no role {role}")


main(*sys.argv[1:])
