package main

import (
	"bytes"
	"io"
)

// The same bodies as test/helpers/pattern-body.ts: byte i of a block is (7i + 13⌊i/256⌋) mod 256, and the block comes over and over.
const period = 65521

var twice = func() []byte {
	block := make([]byte, 2*period)
	for i := range block {
		at := i % period
		block[i] = byte(7*at + 13*(at>>8))
	}
	return block
}()

// patternReader gives the first size bytes of the pattern, then the trailers, then EOF.
type patternReader struct {
	at, size int64
	atEnd    func()
}

func (r *patternReader) Read(into []byte) (int, error) {
	if r.at == r.size {
		if r.atEnd != nil {
			r.atEnd()
		}
		return 0, io.EOF
	}
	start := r.at % period
	piece := twice[start : start+period]
	if left := r.size - r.at; int64(len(piece)) > left {
		piece = piece[:left]
	}
	n := copy(into, piece)
	r.at += int64(n)
	return n, nil
}

// patternCheck counts what is written to it and compares every byte.
type patternCheck struct {
	bytes  int64
	broken bool
}

func (c *patternCheck) Write(chunk []byte) (int, error) {
	for rest := chunk; len(rest) > 0; {
		start := c.bytes % period
		n := len(rest)
		if n > period {
			n = period
		}
		if !bytes.Equal(rest[:n], twice[start:start+int64(n)]) {
			c.broken = true
		}
		c.bytes += int64(n)
		rest = rest[n:]
	}
	return len(chunk), nil
}
