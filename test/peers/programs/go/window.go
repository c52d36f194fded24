//go:build go1.24

package main

import "net/http"

func setWindow(transport *http.Transport, window int) {
	transport.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerConnection: window, MaxReceiveBufferPerStream: window}
}

func serverWindow(server *http.Server, window int) {
	server.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams:          mostStreams,
		MaxReceiveBufferPerConnection: window,
		MaxReceiveBufferPerStream:     window,
	}
}
