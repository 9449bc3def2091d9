package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// maxAnswer bounds an answer that is read, in bytes.
const maxAnswer = 4 << 20

// wire is one kept connection of one client. net/http would cost the load generator as much CPU as the service needs for its answer, and
// they share the cores: so requests are pasted together, and of an answer only status, length and body are read.
type wire struct {
	conn    net.Conn
	host    string
	r       *bufio.Reader
	request []byte
	answer  []byte // of the last request; valid until the next
}

func dial(ctx context.Context, port int, limit time.Duration) (*wire, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", loopback(port))
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &wire{conn: conn, host: loopback(port), r: bufio.NewReaderSize(conn, 16<<10)}, nil
}

func (c *wire) close() { _ = c.conn.Close() }

// send makes one request and returns the status; the body is in c.answer. header is one line without its end.
func (c *wire) send(method, path, header string, body []byte) (int, error) {
	b := append(c.request[:0], method...)
	b = append(b, ' ')
	b = append(b, path...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, c.host...)
	b = append(b, "\r\n"...)
	b = append(b, header...)
	if body != nil {
		b = append(b, "\r\nContent-Type: application/json\r\nContent-Length: "...)
		b = strconv.AppendInt(b, int64(len(body)), 10)
	}
	b = append(b, "\r\n\r\n"...)
	c.request = append(b, body...)
	if _, err := c.conn.Write(c.request); err != nil {
		return 0, fmt.Errorf("send: %w", err)
	}
	return c.read()
}

var (
	lengthName  = []byte("content-length:")
	codingName  = []byte("transfer-encoding:")
	chunkedName = []byte("chunked")
)

func (c *wire) read() (int, error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return 0, fmt.Errorf("read the answer: %w", err)
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, errors.New("read the answer: no HTTP/1.1")
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, fmt.Errorf("read the answer: %w", err)
	}
	length, chunked := 0, false
	for {
		if line, err = c.r.ReadSlice('\n'); err != nil {
			return 0, fmt.Errorf("read the answer: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if value, ok := cutFold(line, lengthName); ok {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, fmt.Errorf("read the answer: %w", err)
			}
		} else if value, ok := cutFold(line, codingName); ok {
			chunked = bytes.EqualFold(value, chunkedName)
		}
	}
	c.answer = c.answer[:0]
	if chunked {
		return status, c.readChunks()
	}
	return status, c.readBody(length)
}

func cutFold(line, name []byte) ([]byte, bool) {
	if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], name) {
		return nil, false
	}
	return bytes.TrimSpace(line[len(name):]), true
}

// readBody appends n bytes to the answer.
func (c *wire) readBody(n int) error {
	have := len(c.answer)
	if n < 0 || have+n > maxAnswer {
		return errors.New("read the answer: it is too long")
	}
	if cap(c.answer) < have+n {
		grown := make([]byte, have, 2*(have+n))
		copy(grown, c.answer)
		c.answer = grown
	}
	c.answer = c.answer[:have+n]
	if _, err := io.ReadFull(c.r, c.answer[have:]); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

func (c *wire) readChunks() error {
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		if err := c.readBody(int(n)); err != nil {
			return err
		}
		if _, err := c.r.Discard(2); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		if n == 0 {
			return nil
		}
	}
}
