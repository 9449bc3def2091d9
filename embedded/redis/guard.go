package redis

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
)

// Bounds of one request; what the gateway sends is far below.
const (
	maxArguments = 1024
	maxArgument  = 1 << 20
	maxRequest   = 4 << 20
)

var errRequest = errors.New("embedded redis: not a request")

// guarded hands the server whole requests that it can read (RESP: an array of bulk strings), and ends the connection at anything else: the
// server would end the process, even before anybody has said the password.
type guarded struct {
	net.Conn
	in   *bufio.Reader
	rest []byte // of the request that is being handed over
}

func guard(c net.Conn) *guarded { return &guarded{Conn: c, in: bufio.NewReader(c)} }

// Read implements net.Conn.
func (g *guarded) Read(p []byte) (int, error) {
	if len(g.rest) == 0 {
		request, err := readRequest(g.in)
		if err != nil {
			return 0, err
		}
		g.rest = request
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// readRequest returns the bytes of one request.
func readRequest(in *bufio.Reader) ([]byte, error) {
	raw, count, err := readNumber(in, nil, '*', maxArguments)
	if err != nil {
		return nil, err
	}
	if count == 0 {
		return nil, errRequest
	}
	for i := range count {
		var size int
		if raw, size, err = readNumber(in, raw, '$', maxArgument); err != nil {
			return nil, err
		}
		if len(raw)+size > maxRequest {
			return nil, errRequest
		}
		start := len(raw)
		raw = append(raw, make([]byte, size+2)...)
		if _, err := io.ReadFull(in, raw[start:]); err != nil {
			return nil, err
		}
		if string(raw[start+size:]) != "\r\n" {
			return nil, errRequest
		}
		if i == 0 && strings.EqualFold(string(raw[start:start+size]), "CLUSTER") {
			return nil, errRequest // it would look for a listener of its own
		}
	}
	return raw, nil
}

// readNumber reads a line of a sign and a number from 0 to most, and appends it to raw.
func readNumber(in *bufio.Reader, raw []byte, sign byte, most int) ([]byte, int, error) {
	line, err := in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, 0, errRequest // the server's own reader would take the other for its own and go on for ever
	}
	if err != nil {
		return nil, 0, err
	}
	if len(line) < 4 || line[0] != sign || line[len(line)-2] != '\r' {
		return nil, 0, errRequest
	}
	n, err := strconv.ParseUint(string(line[1:len(line)-2]), 10, 32)
	if err != nil || n > uint64(most) {
		return nil, 0, errRequest
	}
	return append(raw, line...), int(n), nil
}
