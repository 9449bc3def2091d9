package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/gateway/internal/contract"
	"github.com/sendtip/sendtip/gateway/internal/validate"
)

const benchBody = `{"quote_id":"01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e","note":"rent for november","due":"2026-11-30","labels":{"a":"b"}}`

// BenchmarkValidate is strict JSON and the contract's schema of one transfer.
func BenchmarkValidate(b *testing.B) {
	set, err := contract.Load(contracts(b))
	if err != nil {
		b.Fatal(err)
	}
	for _, op := range set.Operations {
		if op.ID != "createTransfer" {
			continue
		}
		plan, body := validate.NewPlan(op), []byte(benchBody)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := plan.Body(body); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkChain is one request through all steps to a service on loopback and back; its cost includes client, service and Redis.
func BenchmarkChain(b *testing.B) {
	unlimited := Pairs{{"address", "60000000/60/10000000"}, {"default", "60000000/60/10000000"}, {"payment", "60000000/60/10000000"}}
	w := setup(b, func(w *world) { w.cfg.RatePolicies, w.cfg.SampleAnswers = unlimited, 0 })
	transfer, post := w.transfer().withBody(benchBody),
		ask{method: "POST", path: "/v1/ledger/transactions", body: `{"amount":{"amount":5,"currency":"KES"}}`,
			header: map[string]string{"Sendtip-Service-Key": walletKey}}
	for name, c := range map[string]struct {
		h http.Handler
		a ask
	}{"public": {w.service.Handler, transfer}, "internal": {w.service.Also[0].Handler, post}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(c.a.method, c.a.path, strings.NewReader(c.a.body))
				for k, v := range c.a.header {
					r.Header.Set(k, v)
				}
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Idempotency-Key", uuid.NewString())
				rec := httptest.NewRecorder()
				if c.h.ServeHTTP(rec, r); rec.Code >= 300 {
					b.Fatal(rec.Code, rec.Body)
				}
			}
		})
	}
}
