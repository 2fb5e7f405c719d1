package main

import (
	"bufio"
	"net"
)

// The first bytes of HTTP/2 without TLS, by which gRPC is told from HTTP/1.
const preface = "PRI"

// One side of a port that two protocols share.
type side struct {
	net.Listener
	connections chan net.Conn
}

func (s *side) Accept() (net.Conn, error) {
	connection, open := <-s.connections
	if !open {
		return nil, net.ErrClosed
	}
	return connection, nil
}

// A connection of which the first bytes have been looked at.
type peeked struct {
	net.Conn
	reader *bufio.Reader
}

func (p *peeked) Read(into []byte) (int, error) { return p.reader.Read(into) }

// Tells the connections of a port apart: gRPC, and everything else.
func split(listener net.Listener) (grpcSide, httpSide net.Listener) {
	first, second := &side{listener, make(chan net.Conn)}, &side{listener, make(chan net.Conn)}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				close(first.connections)
				close(second.connections)
				return
			}
			go func() {
				reader := bufio.NewReader(connection)
				start, err := reader.Peek(len(preface))
				if err != nil {
					_ = connection.Close()
					return
				}
				to := second
				if string(start) == preface {
					to = first
				}
				to.connections <- &peeked{connection, reader}
			}()
		}
	}()
	return first, second
}
