// Go's HTTP/2 as a peer: golang.org/x/net/http2 without TLS, the HTTP/2 in net/http with it. test/helpers/interop-peer.ts says
// which words it takes.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) >= 2 && args[0] == "server":
		window, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		return serve(int32(window), args[2:])
	case len(args) >= 5 && args[0] == "client":
		window, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		client, err := newClient(args[1], window, args[3])
		if err != nil {
			return err
		}
		result, err := client.run(args[4], args[5:])
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(result)
	}
	return fmt.Errorf("usage: server WINDOW [CERT KEY] | client URL WINDOW CA COMMAND ARG…")
}
