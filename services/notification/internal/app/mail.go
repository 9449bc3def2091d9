package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	gomail "github.com/wneessen/go-mail"

	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

const smtpTimeout = 15 * time.Second

// MailConfig says how e-mail leaves.
type MailConfig struct {
	Addr       string // host:port of the SMTP server
	From       string // "Name <address>" or an address
	Username   string // "" sends without authentication
	Password   string
	RequireTLS bool
}

// Mailer sends e-mail by SMTP, one connection per message: receipts are few, and a fresh connection has no state to lose.
type Mailer struct {
	cfg    MailConfig
	host   string
	port   int
	domain string // of the sender, for message ids
}

// NewMailer checks the settings; it does not connect.
func NewMailer(cfg MailConfig) (*Mailer, error) {
	host, port, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		return nil, errors.New("SENDTIP_SMTP_ADDR is not host:port")
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, errors.New("SENDTIP_SMTP_ADDR has no port number")
	}
	from, err := mail.ParseAddress(cfg.From)
	if err != nil {
		return nil, errors.New("SENDTIP_MAIL_FROM is not an e-mail address")
	}
	_, senderDomain, _ := strings.Cut(from.Address, "@")
	return &Mailer{cfg: cfg, host: host, port: number, domain: senderDomain}, nil
}

// send delivers one message to the SMTP server. The message id is made from the notification's, so a reader who does get it twice
// can tell. go-mail's errors hold the recipient: they are judged here and never passed on.
func (m *Mailer) send(ctx context.Context, id uuid.UUID, to string, message domain.Message) answer {
	ctx, cancel := context.WithTimeout(ctx, smtpTimeout)
	defer cancel()
	msg, err := m.message(id, to, message)
	if err != nil {
		return answer{reason: "invalid_address"}
	}
	client, err := m.client()
	if err != nil {
		return answer{reason: "mail_settings", retryable: true}
	}
	err = client.DialAndSendWithContext(ctx, msg)
	if err == nil || msg.IsDelivered() { // an error after the server took the message is only one of saying goodbye
		return answer{accepted: true, messageID: m.messageID(id)}
	}
	return judgeMail(err)
}

// judgeMail tells a definite refusal from a lost answer. Only between the first byte of the content and the server's reply to its end
// can a message be taken without our knowing (RFC 5321, 6.1).
func judgeMail(err error) answer {
	var refused *gomail.SendError
	if !errors.As(err, &refused) {
		return answer{retryable: true, reason: "mail_server_unreachable"} // never came to the message
	}
	inContent := refused.Reason == gomail.ErrWriteContent || refused.Reason == gomail.ErrSMTPDataClose
	code := refused.ErrorCode()
	switch {
	case code >= 500:
		return answer{reason: "mail_refused"}
	case code >= 400:
		return answer{retryable: true, reason: "mail_deferred"}
	case inContent:
		return answer{unknown: true}
	}
	return answer{retryable: true, reason: "mail_server_unreachable"}
}

func (m *Mailer) messageID(id uuid.UUID) string { return id.String() + "@" + m.domain }

func (m *Mailer) message(id uuid.UUID, to string, message domain.Message) (*gomail.Msg, error) {
	msg := gomail.NewMsg()
	if err := msg.From(m.cfg.From); err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	if err := msg.To(to); err != nil {
		return nil, errors.New("recipient")
	}
	msg.Subject(message.Subject)
	msg.SetMessageIDWithValue(m.messageID(id))
	msg.SetDate()
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no out-of-office answers
	msg.SetBodyString(gomail.TypeTextPlain, message.Text)
	return msg, nil
}

func (m *Mailer) client() (*gomail.Client, error) {
	policy := gomail.TLSOpportunistic
	if m.cfg.RequireTLS {
		policy = gomail.TLSMandatory
	}
	options := []gomail.Option{gomail.WithPort(m.port), gomail.WithTimeout(smtpTimeout), gomail.WithTLSPolicy(policy),
		gomail.WithHELO(m.domain)}
	if m.cfg.Username != "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(m.cfg.Username),
			gomail.WithPassword(m.cfg.Password))
	}
	return gomail.NewClient(m.host, options...)
}
