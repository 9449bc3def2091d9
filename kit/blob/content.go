package blob

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

// sniffed is how much of a file tells its type, in bytes. Nothing is ever unpacked for it.
const sniffed = 3072

// Upload is what somebody sends, and what of it is accepted.
type Upload struct {
	Content  io.Reader
	Name     string   // the client's for it; kept to be shown, never used as a name in the store
	MaxBytes int64    // more is refused with ErrTooLarge
	Types    []string // such as image/jpeg; what the content is, not what the client says, must be one of them, else ErrType
}

// content measures a file while it is read, and ends it with a fault where it must not be kept.
type content struct {
	from  io.Reader
	max   int64
	mime  string
	size  int64
	hash  hash.Hash
	scan  bool   // images and PDF must not hold a web page
	rest  []byte // the end of what was scanned: a mark may lie across two reads
	lower []byte
}

// read begins to read an upload: it is not empty, and of a type that is accepted.
func read(u Upload) (*content, error) {
	if u.Content == nil || u.MaxBytes <= 0 || len(u.Types) == 0 {
		return nil, errors.New("blob: an upload needs content, a limit and types")
	}
	head := make([]byte, sniffed)
	n, err := io.ReadFull(u.Content, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("read upload: %w", err)
	}
	if head = head[:n]; n == 0 {
		return nil, ErrEmpty
	}
	found := mimetype.Detect(head)
	if !slices.ContainsFunc(u.Types, found.Is) {
		return nil, ErrType
	}
	mime, _, _ := strings.Cut(found.String(), ";")
	return &content{from: io.MultiReader(bytes.NewReader(head), u.Content), max: u.MaxBytes, mime: mime, hash: sha256.New(),
		scan: mime != "image/svg+xml" && strings.HasPrefix(mime, "image/") || mime == "application/pdf"}, nil
}

// Read implements io.Reader.
func (c *content) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.size += int64(n)
	if c.size > c.max {
		return 0, ErrTooLarge
	}
	c.hash.Write(p[:n])
	if c.scan && c.marked(p[:n]) {
		return 0, ErrType
	}
	return n, err
}

// marks are of web pages and programs of servers. A picture that holds one is made to be taken for what it is not.
var marks = [][]byte{[]byte("<script"), []byte("<html"), []byte("<!doctype html"), []byte("<iframe"), []byte("<svg"), []byte("<?php")}

// longest is the length of the longest mark.
const longest = len("<!doctype html")

func (c *content) marked(p []byte) bool {
	c.lower = append(append(c.lower[:0], c.rest...), p...)
	for i, b := range c.lower {
		if 'A' <= b && b <= 'Z' {
			c.lower[i] = b + 'a' - 'A'
		}
	}
	c.rest = append(c.rest[:0], c.lower[max(0, len(c.lower)-longest+1):]...)
	return slices.ContainsFunc(marks, func(m []byte) bool { return bytes.Contains(c.lower, m) })
}

// shown is a client's name for a file without folders and control characters, 255 characters at most.
func shown(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u202e' || r == '\u202d' { // the last two turn the order of letters around
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	if r := []rune(name); len(r) > 255 {
		return string(r[:255])
	}
	return name
}
