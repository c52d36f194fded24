package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"

	"golang.org/x/net/http2"
)

const mostStreams = 2000

type server struct {
	http     *http.Server
	mutex    sync.Mutex
	changed  *sync.Cond
	resets   []int
	together int
}

// serve listens on loopback until the process is ended. files are a certificate and its key, or none.
func serve(window int32, files []string) error {
	s := &server{}
	s.changed = sync.NewCond(&s.mutex)
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", s.echo)
	mux.HandleFunc("/tunnel", s.tunnel)
	mux.HandleFunc("/exchange", s.exchange)
	mux.HandleFunc("/early", s.early)
	mux.HandleFunc("/reset", s.reset)
	mux.HandleFunc("/hold", s.hold)
	mux.HandleFunc("/resets", s.sayResets)
	mux.HandleFunc("/together", s.atOnce)
	mux.HandleFunc("/goaway", s.goAway)
	s.http = &http.Server{Handler: mux}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if len(files) == 2 {
		serverWindow(s.http, int(window))
		fmt.Println("port", port)
		if err := s.http.ServeTLS(listener, files[0], files[1]); err != http.ErrServerClosed {
			return err
		}
		select {}
	}
	h2 := &http2.Server{
		MaxConcurrentStreams:         mostStreams,
		MaxUploadBufferPerConnection: window,
		MaxUploadBufferPerStream:     window,
	}
	// So that the one's Shutdown reaches the connections of the other.
	if err := http2.ConfigureServer(s.http, h2); err != nil {
		return err
	}
	fmt.Println("port", port)
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go h2.ServeConn(conn, &http2.ServeConnOpts{BaseConfig: s.http, Handler: mux})
	}
}

func (s *server) echo(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusOK)
	flush(w)
	// As much as there is, at once.
	buffer := make([]byte, 64*1024)
	for {
		n, err := r.Body.Read(buffer)
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return
			}
			flush(w)
		}
		if err != nil {
			break
		}
	}
	for name, values := range r.Trailer {
		w.Header()[http.TrailerPrefix+name] = values
	}
}

func (s *server) tunnel(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Protocol", r.Header.Get(":protocol"))
	s.echo(w, r)
}

func (s *server) exchange(w http.ResponseWriter, r *http.Request) {
	size, err := strconv.ParseInt(r.URL.Query().Get("bytes"), 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusOK)
	flush(w)
	check := &patternCheck{}
	received := make(chan error)
	go func() {
		_, err := io.CopyBuffer(check, r.Body, make([]byte, 64*1024))
		received <- err
	}()
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, &patternReader{size: size}, make([]byte, 64*1024)); err != nil {
		panic(http.ErrAbortHandler)
	}
	if err := <-received; err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set(http.TrailerPrefix+"X-Received", strconv.FormatInt(check.bytes, 10))
	w.Header().Set(http.TrailerPrefix+"X-Intact", strconv.FormatBool(!check.broken))
}

func (s *server) early(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Link", "</a>; rel=preload")
	w.WriteHeader(http.StatusEarlyHints)
	io.WriteString(w, "final")
}

func (s *server) reset(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, "some")
	flush(w)
	panic(http.ErrAbortHandler)
}

func (s *server) hold(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusOK)
	flush(w)
	_, err := io.Copy(io.Discard, r.Body)
	var reset http2.StreamError
	if errors.As(err, &reset) {
		s.mutex.Lock()
		s.resets = append(s.resets, int(reset.Code))
		s.mutex.Unlock()
		s.changed.Broadcast()
	}
	<-r.Context().Done()
}

func (s *server) sayResets(w http.ResponseWriter, r *http.Request) {
	count, _ := strconv.Atoi(r.URL.Query().Get("count"))
	s.mutex.Lock()
	for len(s.resets) < count {
		s.changed.Wait()
	}
	text, _ := json.Marshal(s.resets)
	s.mutex.Unlock()
	w.Write(text)
}

func (s *server) atOnce(w http.ResponseWriter, r *http.Request) {
	count, _ := strconv.Atoi(r.URL.Query().Get("count"))
	s.mutex.Lock()
	s.together++
	s.changed.Broadcast()
	for s.together < count {
		s.changed.Wait()
	}
	s.mutex.Unlock()
	io.WriteString(w, "all here")
}

func (s *server) goAway(w http.ResponseWriter, r *http.Request) {
	go s.http.Shutdown(context.Background())
	io.WriteString(w, "last")
}

func flush(w http.ResponseWriter) {
	w.(http.Flusher).Flush()
}
