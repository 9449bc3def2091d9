package daraja

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/sendtip/sendtip/providers/internal/wire"
)

// ParseCertificate reads the public key of Safaricom's certificate for one environment, as the portal gives it (PEM) or as the base64 of
// its DER. Settings are checked with it. Its dates are not looked at: Safaricom goes on decrypting with the key of an expired certificate.
func ParseCertificate(text string) (*rsa.PublicKey, error) {
	der := []byte(nil)
	if block, _ := pem.Decode([]byte(text)); block != nil {
		if block.Type != "CERTIFICATE" {
			return nil, errors.New("not a certificate: the PEM block is of another kind")
		}
		der = block.Bytes
	} else {
		raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
		if err != nil {
			return nil, errors.New("not a certificate: neither PEM nor base64")
		}
		der = raw
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errors.New("not a certificate")
	}
	key, ok := certificate.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("not a certificate with an RSA key")
	}
	return key, nil
}

// SecurityCredential is the initiator's password as Daraja wants it: encrypted with PKCS #1 v1.5 for Safaricom's key, in base64. Each one
// looks different, and stays right until the password changes.
func SecurityCredential(key *rsa.PublicKey, password string) (string, error) {
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, key, []byte(password)) //nolint:staticcheck // the padding is Safaricom's choice
	if err != nil {
		return "", errors.New("the initiator's password cannot be encrypted with this certificate")
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}

// credential is SecurityCredential for the client's own initiator.
func (c *Client) credential() (string, error) {
	if c.cfg.Initiator == "" || c.cfg.InitiatorPassword == "" {
		return "", unset("no initiator is set")
	}
	key, err := ParseCertificate(c.cfg.Certificate)
	if err != nil {
		return "", unset(err.Error())
	}
	text, err := SecurityCredential(key, c.cfg.InitiatorPassword)
	if err != nil {
		return "", unset(err.Error())
	}
	return text, nil
}

// unset is a request that cannot be made with these settings; nothing was sent.
func unset(why string) error { return &Error{NotSent: true, Code: "invalid_settings", Message: why} }

// Ack says that Daraja took an order of the initiator's. It says nothing about money: the result is posted to the order's address.
type Ack struct {
	ConversationID           string // Daraja's
	OriginatorConversationID string // ours for B2C, Daraja's for everything else
}

type ackAnswer struct {
	ConversationID           wire.Text
	OriginatorConversationID wire.Text
	ResponseCode             wire.Text
	ResponseDescription      wire.Text
}

// zeros is a success: "0" in the documents, "00000000" in older environments. Reading the latter as a refusal would release paid money.
var zeros = regexp.MustCompile(`^0+$`)

// order sends a request that needs the initiator's credential. Its deadline covers the token and the wait for the rate too.
func (c *Client) order(ctx context.Context, path, initiatorField string, body map[string]string) (Ack, error) {
	credential, err := c.credential()
	if err != nil {
		return Ack{}, err
	}
	body[initiatorField], body["SecurityCredential"] = c.cfg.Initiator, credential
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	var answer ackAnswer
	if err := c.guarded(ctx, path, body, &answer); err != nil {
		return Ack{}, err
	}
	if !zeros.MatchString(string(answer.ResponseCode)) {
		return Ack{}, &Error{HTTPStatus: http.StatusOK, Code: string(answer.ResponseCode),
			Message: wire.Scrub(string(answer.ResponseDescription))}
	}
	ack := Ack{ConversationID: wire.Clean(string(answer.ConversationID)),
		OriginatorConversationID: wire.Clean(string(answer.OriginatorConversationID))}
	if ack.ConversationID == "" || len(ack.ConversationID) > maxID || len(ack.OriginatorConversationID) > maxID {
		return Ack{}, &Error{HTTPStatus: http.StatusOK, Message: "answer without usable ids"}
	}
	return ack, nil
}

// checkOrder checks what all orders have: where the result goes, and what says that the order waited too long in Safaricom's queue.
func checkOrder(remarks, occasion, resultURL, timeoutURL string) error {
	switch n := utf8.RuneCountInString(remarks); {
	case n < 2 || n > 100:
		return invalid("Remarks")
	case utf8.RuneCountInString(occasion) > 100:
		return invalid("Occasion")
	case resultURL == "":
		return invalid("ResultURL")
	case timeoutURL == "":
		return invalid("QueueTimeOutURL")
	}
	return nil
}

// wholeShillings writes an amount as Daraja wants it; the fraction is refused, never rounded.
func wholeShillings(minor, least, most int64) (string, error) {
	if minor%100 != 0 || minor < least || minor > most {
		return "", invalid("Amount")
	}
	return fmt.Sprint(minor / 100), nil
}
