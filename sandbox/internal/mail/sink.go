// Package mail is an SMTP server that keeps what it gets and sends nothing on.
package mail

import (
	"bytes"
	"encoding/base64"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/sandbox/internal/world"
)

const (
	maxMailBytes = 1 << 20
	maxPartBytes = 128 << 10
	maxParts     = 20
)

// NewServer returns the sink. It offers no TLS and takes any user and password: it listens on this machine only.
func NewServer(w *world.World) *smtp.Server {
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{world: w}, nil }))
	s.Domain = "sandbox.localhost"
	s.MaxMessageBytes, s.MaxRecipients = maxMailBytes, 50
	s.ReadTimeout, s.WriteTimeout = 30*time.Second, 30*time.Second
	s.AllowInsecureAuth = true
	s.ErrorLog = slog.NewLogLogger(w.Log().Handler(), slog.LevelWarn)
	return s
}

type session struct {
	world *world.World
	from  string
	to    []string
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, _, _ string) error { return nil }), nil
}

func (s *session) Reset() { s.from, s.to = "", nil }

func (s *session) Logout() error { return nil }

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m := parse(raw)
	m.From, m.To = s.from, s.to
	s.world.AddMail(m)
	return nil
}

// parse reads subject and bodies. A mail that cannot be read is kept as text: the sink judges nothing.
func parse(raw []byte) control.Mail {
	message, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return control.Mail{Text: clip(raw)}
	}
	var out control.Mail
	subject := message.Header.Get("Subject")
	if decoded, err := new(mime.WordDecoder).DecodeHeader(subject); err == nil {
		subject = decoded
	}
	out.Subject = subject
	parts := 0
	readPart(&out, &parts, message.Header.Get("Content-Type"), message.Header.Get("Content-Transfer-Encoding"), message.Body)
	return out
}

func readPart(out *control.Mail, parts *int, contentType, encoding string, body io.Reader) {
	if *parts++; *parts > maxParts {
		return
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = "text/plain"
	}
	if strings.HasPrefix(kind, "multipart/") {
		for reader := multipart.NewReader(body, params["boundary"]); ; {
			part, err := reader.NextRawPart()
			if err != nil {
				return // the end, or a broken mail: what was read stays
			}
			readPart(out, parts, part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part)
		}
	}
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	text, _ := io.ReadAll(io.LimitReader(body, maxPartBytes)) // what could be decoded is shown
	switch {
	case kind == "text/plain" && out.Text == "":
		out.Text = clip(text)
	case kind == "text/html" && out.HTML == "":
		out.HTML = clip(text)
	}
}

func clip(raw []byte) string {
	return strings.ToValidUTF8(string(raw[:min(len(raw), maxPartBytes)]), "\uFFFD")
}
