package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/net/http2"
)

type result map[string]interface{}

type client struct {
	url  string
	http *http.Client
}

// newClient speaks x/net's HTTP/2 without TLS, net/http's with the authority in the file ca.
func newClient(url string, window int, ca string) (*client, error) {
	base := &http.Transport{}
	setWindow(base, window)
	if ca != "-" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		base.TLSClientConfig = &tls.Config{RootCAs: roots}
		base.ForceAttemptHTTP2 = true
		base.MaxConnsPerHost = 1
		return &client{url, &http.Client{Transport: base}}, nil
	}
	transport, err := http2.ConfigureTransports(base)
	if err != nil {
		return nil, err
	}
	// Its own pool, which dials.
	transport.ConnPool = nil
	transport.AllowHTTP = true
	transport.StrictMaxConcurrentStreams = true
	transport.DialTLSContext = dial
	return &client{url, &http.Client{Transport: transport}}, nil
}

func dial(ctx context.Context, network, address string, _ *tls.Config) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func (c *client) run(command string, args []string) (result, error) {
	switch command {
	case "echo":
		count, bytes := number(args[0]), int64(number(args[1]))
		return c.count(count, func(i int) error { return c.echo(i, bytes) })
	case "together":
		// It would dial again rather than wait for the connection that is being made.
		if err := c.get("/early", "final"); err != nil {
			return nil, err
		}
		return c.count(number(args[0]), func(int) error { return c.get("/together?count="+args[0], "all here") })
	case "exchange":
		return c.exchange(int64(number(args[0])))
	case "early":
		return c.early()
	case "reset":
		return c.reset()
	case "cancel":
		return c.cancel()
	case "connect":
		return c.connect()
	case "settings":
		return c.settings(args)
	case "limit":
		return c.limit(args[0], number(args[1]))
	case "goaway":
		return c.goAway(number(args[0]))
	}
	return nil, fmt.Errorf("no command %s", command)
}

// count runs so many at once, and says how many did what they should.
func (c *client) count(count int, one func(i int) error) (result, error) {
	var group sync.WaitGroup
	var ok int64
	for i := 0; i < count; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			if err := one(i); err != nil {
				fmt.Fprintln(os.Stderr, err)
			} else {
				atomic.AddInt64(&ok, 1)
			}
		}(i)
	}
	group.Wait()
	return result{"ok": ok}, nil
}

func (c *client) echo(i int, size int64) error {
	sum := fmt.Sprintf("sum of %d", i)
	request, err := http.NewRequest("POST", c.url+"/echo", &patternReader{size: size})
	if err != nil {
		return err
	}
	request.Trailer = http.Header{"X-Sum": {sum}}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	check := &patternCheck{}
	if _, err := io.Copy(check, response.Body); err != nil {
		return err
	}
	if check.broken || check.bytes != size || response.Trailer.Get("X-Sum") != sum {
		return fmt.Errorf("%d bytes came back, broken: %v, trailers %v", check.bytes, check.broken, response.Trailer)
	}
	return nil
}

func (c *client) get(path, expected string) error {
	response, err := c.http.Get(c.url + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && string(body) != expected {
		err = fmt.Errorf("%s: %q", path, body)
	}
	return err
}

func (c *client) exchange(size int64) (result, error) {
	body := io.NopCloser(&patternReader{size: size})
	response, err := c.http.Post(fmt.Sprintf("%s/exchange?bytes=%d", c.url, size), "application/octet-stream", body)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	check := &patternCheck{}
	if _, err := io.CopyBuffer(check, response.Body, make([]byte, 64*1024)); err != nil {
		return nil, err
	}
	trailers := []string{response.Trailer.Get("X-Received"), response.Trailer.Get("X-Intact")}
	return result{"received": check.bytes, "intact": !check.broken, "trailers": trailers}, nil
}

func (c *client) early() (result, error) {
	informational := []interface{}{}
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
		informational = append(informational, []interface{}{code, header.Get("Link")})
		return nil
	}}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), "GET", c.url+"/early", nil)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return result{"informational": informational, "status": response.StatusCode, "body": string(body)}, err
}

func (c *client) reset() (result, error) {
	response, err := c.http.Get(c.url + "/reset")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	var reset http2.StreamError
	if !errors.As(err, &reset) {
		return nil, fmt.Errorf("no reset: %v", err)
	}
	return result{"before": string(body), "code": int(reset.Code)}, nil
}

func (c *client) cancel() (result, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	reader, writer := io.Pipe()
	request, err := http.NewRequestWithContext(ctx, "POST", c.url+"/hold", reader)
	if err != nil {
		return nil, err
	}
	go io.Copy(writer, &patternReader{size: 100000})
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	cancel()
	response.Body.Close()
	return result{"resets": "[8]"}, c.get("/resets?count=1", "[8]")
}

func (c *client) connect() (result, error) {
	reader, writer := io.Pipe()
	request, err := http.NewRequest("CONNECT", c.url+"/tunnel", reader)
	if err != nil {
		return nil, err
	}
	request.Header[":protocol"] = []string{"websocket"}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if _, err := io.WriteString(writer, "there and back"); err != nil {
		return nil, err
	}
	writer.Close()
	body, err := io.ReadAll(response.Body)
	protocol := response.Header.Get("X-Protocol")
	return result{"status": response.StatusCode, "protocol": protocol, "echo": string(body)}, err
}

// limit has one connection without a pool: the pool of x/net stalls at such a limit (golang/go issue 70809).
func (c *client) limit(most string, count int) (result, error) {
	transport, ok := c.http.Transport.(*http2.Transport)
	if !ok {
		return nil, errors.New("net/http opens further connections")
	}
	conn, err := dial(context.Background(), "tcp", strings.TrimPrefix(c.url, "http://"), nil)
	if err != nil {
		return nil, err
	}
	single, err := transport.NewClientConn(conn)
	if err != nil {
		return nil, err
	}
	c.http = &http.Client{Transport: single}
	if err := c.get("/settings?maxConcurrentStreams="+most, "settled"); err != nil {
		return nil, err
	}
	return c.count(count, func(int) error { return c.get("/peak", "done") })
}

// settings asks for each change and makes a request after it; meanwhile bodies come and go until the last was made.
func (c *client) settings(queries []string) (result, error) {
	done := make(chan struct{})
	flowed := make(chan error)
	for i := 0; i < 8; i++ {
		go func(i int) {
			for {
				if err := c.echo(i, 1024*1024); err != nil {
					flowed <- err
					return
				}
				select {
				case <-done:
					flowed <- nil
					return
				default:
				}
			}
		}(i)
	}
	for _, query := range queries {
		if err := c.get("/settings?"+query, "settled"); err != nil {
			return nil, err
		}
		if err := c.echo(0, 1000); err != nil {
			return nil, err
		}
	}
	close(done)
	for i := 0; i < 8; i++ {
		if err := <-flowed; err != nil {
			return nil, err
		}
	}
	return result{"intact": true, "changes": len(queries)}, nil
}

// goAway makes requests from several sides at once while the connection that they are on goes away again and again.
func (c *client) goAway(count int) (result, error) {
	ids := make(chan int)
	go func() {
		for id := 0; id < count; id++ {
			ids <- id
		}
		close(ids)
	}()
	done, err := c.count(8, func(int) error {
		for id := range ids {
			name := strconv.Itoa(id)
			// A body that can be had again, so that a request which was refused may be sent again.
			response, err := c.http.Post(c.url+"/once?id="+name, "text/plain", bytes.NewReader([]byte(name)))
			if err != nil {
				return err
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err != nil {
				return err
			}
			if strings.TrimSpace(string(body)) != name {
				return fmt.Errorf("%q for %s", body, name)
			}
		}
		return nil
	})
	if err == nil && done["ok"] != int64(8) {
		err = fmt.Errorf("%v of 8 workers were done", done["ok"])
	}
	return result{"ok": count}, err
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return value
}
