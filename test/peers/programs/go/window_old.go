//go:build !go1.24

package main

import "net/http"

// Windows cannot be chosen here: what they are for is left out of the tests.
func setWindow(*http.Transport, int) {}

func serverWindow(*http.Server, int) {}
