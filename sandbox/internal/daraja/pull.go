package daraja

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/sendtip/sendtip/sandbox/control"
)

// Pull Transactions is Safaricom's own book of what came in: it reaches back two days and is read by offset.
const (
	pullWindow = 48 * time.Hour
	pullPage   = 100
	pullLayout = "2006-01-02 15:04:05" // in EAT
)

// nominated is the number that answers for the short code; Safaricom's samples write it with and without the country.
var nominated = regexp.MustCompile(`^(254|0)[17]\d{8}$`)

// registerPull opens the books to the short code's owner. A second registration changes nothing and is no error.
func (s *Server) registerPull(w http.ResponseWriter, _ *http.Request, in fields) {
	code := in.text("ShortCode")
	switch {
	case !shortCode.MatchString(code):
		invalidField(w, "ShortCode")
		return
	case in.text("RequestType") != "Pull":
		invalidField(w, "RequestType")
		return
	case !nominated.MatchString(in.text("NominatedNumber")):
		invalidField(w, "NominatedNumber")
		return
	case !allowedURL(in.text("CallBackURL")):
		invalidField(w, "CallBackURL")
		return
	case !s.knows(code):
		fail(w, http.StatusInternalServerError, "500.001.1001", "Merchant does not exist")
		return
	}
	fresh, err := s.registrations.openPull(code)
	if err != nil {
		s.notKept(w, err)
		return
	}
	status, text := "1000", "Shortcode Registered Successfully"
	if !fresh {
		status, text = "1001", "ShortCode already Registered"
	}
	// ResponseStatus here, ResponseCode below: Safaricom's.
	write(w, http.StatusOK, map[string]string{"ResponseRefID": newRequestID(), "ResponseStatus": status, "ShortCode": code,
		"ResponseDescription": text})
}

// pulled is one payment as the books show it.
type pulled struct {
	ID           string `json:"transactionId"`
	At           string `json:"trxDate"`
	Msisdn       int64  `json:"msisdn"`
	Sender       string `json:"sender"`
	Type         string `json:"transactiontype"`
	BillRef      string `json:"billreference"`
	Amount       string `json:"amount"`
	Organization string `json:"organizationname"`
}

// queryPull answers from the statement: a forged or altered message has no place there.
func (s *Server) queryPull(w http.ResponseWriter, _ *http.Request, in fields) {
	code := in.text("ShortCode")
	from, fromErr := time.ParseInLocation(pullLayout, in.text("StartDate"), eat)
	to, toErr := time.ParseInLocation(pullLayout, in.text("EndDate"), eat)
	offset, offsetErr := strconv.Atoi(in.text("OffSetValue"))
	switch {
	case !shortCode.MatchString(code):
		invalidField(w, "ShortCode")
		return
	case fromErr != nil:
		invalidField(w, "StartDate")
		return
	case toErr != nil || to.Before(from):
		invalidField(w, "EndDate")
		return
	case offsetErr != nil || offset < 0:
		invalidField(w, "OffSetValue")
		return
	case !s.knows(code):
		fail(w, http.StatusInternalServerError, "500.001.1001", "Merchant does not exist")
		return
	case !s.registrations.pullOpen(code):
		fail(w, http.StatusInternalServerError, "500.003.1001", "ShortCode is not registered for Pull")
		return
	}
	if oldest := s.world.Now().Add(-pullWindow); from.Before(oldest) {
		from = oldest
	}
	to = to.Add(time.Second) // the question has no parts of a second, payments have
	rows := s.world.Entries(code, from, to, offset, pullPage)
	if len(rows) == 0 {
		write(w, http.StatusOK, map[string]any{"ResponseRefID": newRequestID(), "ResponseCode": "1001",
			"ResponseMessage": "No transactions found"})
		return
	}
	page := make([]pulled, 0, len(rows))
	for _, e := range rows {
		page = append(page, shownInBooks(e))
	}
	write(w, http.StatusOK, map[string]any{"ResponseRefID": newRequestID(), "ResponseCode": "1000", "ResponseMessage": "Success",
		"Response": [][]pulled{page}})
}

func shownInBooks(e control.Entry) pulled {
	number, _ := strconv.ParseInt(e.Msisdn[1:], 10, 64) // E.164 of our own
	kind := "c2b-pay-bill-debit"
	if e.BuyGoods {
		kind = "c2b-buy-goods-debit"
	}
	return pulled{ID: e.Receipt, At: e.At.In(eat).Format(time.RFC3339), Msisdn: number, Sender: "MPESA", Type: kind,
		BillRef: e.AccountReference,
		Amount:  fmt.Sprintf("%d.0", e.AmountMinor/100), Organization: "SENDTIP"}
}
