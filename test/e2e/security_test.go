package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/test/contract"
)

// operation is one operation of a contract with a path that could exist.
type operation struct {
	service, id, method, path, visibility string
	template                              string // the path with its parameters in braces
	open, takesBody, stepUp               bool
	scopes                                []string
	partners                              []string // scopes that an API key may come with
	paged                                 bool
	example                               string // of the body
}

func operations(t *testing.T) []operation {
	t.Helper()
	var all []operation
	for _, name := range contract.Names {
		doc, err := contract.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		for path, item := range doc.Paths.Map() {
			for method, op := range item.Operations() {
				o := operation{service: name, id: op.OperationID, method: method, path: path, visibility: op.Extensions["x-visibility"].(string),
					open: len(*op.Security) == 0, takesBody: op.RequestBody != nil, stepUp: op.Extensions["x-step-up"] != nil, template: path,
					paged: op.Parameters.GetByInAndName("query", "cursor") != nil}
				if op.RequestBody != nil {
					if media := op.RequestBody.Value.Content["application/json"]; media != nil {
						b, err := json.Marshal(media.Example)
						if err != nil {
							t.Fatal(err)
						}
						o.example = string(b)
					}
				}
				for _, alternative := range *op.Security {
					o.scopes = append(o.scopes, alternative["userAuth"]...)
					o.partners = append(o.partners, alternative["apiKey"]...)
				}
				for strings.Contains(o.path, "{") {
					i, j := strings.Index(o.path, "{"), strings.Index(o.path, "}")
					value := uuid.Must(uuid.NewV7()).String()
					if o.path[i:j+1] == "{token}" {
						value = strings.Repeat("A", 32)
					}
					o.path = o.path[:i] + value + o.path[j+1:]
				}
				all = append(all, o)
			}
		}
	}
	return all
}

// TestAuthorization calls every operation of every contract as nobody, as a customer, on the wrong listener and around the gateway.
func TestAuthorization(t *testing.T) {
	t.Parallel()
	w := shared(t)
	customer, err := w.NewCustomer("Zawadi")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Register(t.Context(), customer); err != nil {
		t.Fatal(err)
	}
	nobody, err := w.NewCustomer("Nobody")
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range operations(t) {
		body := ""
		if op.method != http.MethodGet && op.method != http.MethodDelete {
			body = "{}"
		}
		status, code, err := nobody.Raw(t.Context(), op.method, op.path, body, nil)
		switch {
		case err != nil:
			t.Errorf("%s: %v", op.id, err)
		case op.visibility == "internal" && status != http.StatusNotFound && status != http.StatusMethodNotAllowed:
			t.Errorf("%s is internal and answered %d on the public listener", op.id, status)
		case op.visibility == "public" && !op.open && status != http.StatusUnauthorized:
			t.Errorf("%s without a token: want 401, got %d %s", op.id, status, code)
		case op.visibility == "webhook" && status < 400:
			t.Errorf("%s with a guessed path token answered %d", op.id, status)
		}
		if op.visibility == "public" && len(op.scopes) > 0 && strings.HasPrefix(op.scopes[0], "admin:") {
			if status, code, err := customer.Raw(t.Context(), op.method, op.path, body, nil); err != nil || status != http.StatusForbidden {
				t.Errorf("%s as a customer: want 403, got %d %s %v", op.id, status, code, err)
			}
		}
	}
}

// TestAroundTheGateway calls every service directly with forged identity headers: all refused.
func TestAroundTheGateway(t *testing.T) {
	t.Parallel()
	w := shared(t)
	for _, op := range operations(t) {
		if op.service == "gateway" {
			continue
		}
		req, err := http.NewRequestWithContext(t.Context(), op.method, w.p.ServiceURL(op.service)+op.path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Sendtip-Identity", "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJzZXJ2aWNlOndhbGxldCIsInNjb3BlIjoibGVkZ2VyOnBvc3QifQ.")
		req.Header.Set("X-User-Id", uuid.NewString())
		client := http.DefaultClient
		if op.visibility == "public" { // what the services answer on their own is in the contracts, too
			client = w.HTTP
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s around the gateway: want 401, got %d", op.id, resp.StatusCode)
		}
	}
}

// TestNothingPersonalLeaks walks a customer through and then looks for what was typed in logs, topics and database files.
func TestNothingPersonalLeaks(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *platform.Options) { o.Environ["SENDTIP_LOG_LEVEL"] = "debug" })
	amina, brian := w.customer(t, "Achieng", 500_00), w.customer(t, "Kiprotich", 0)
	first := amina.Tokens
	if err := amina.LogIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := amina.Send(t.Context(), brian, 20_00); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the recipient's SMS", func() bool {
		messages, err := w.Sandbox.Messages(t.Context(), brian.Phone)
		return err == nil && len(messages) >= 3
	})
	atRest := []string{amina.Phone[1:], amina.Phone[4:], amina.Email, "Achieng", "Wanjiru", "Kiprotich", amina.IDNumber, "1990-04-12",
		amina.Device,
		first.RefreshToken, amina.Tokens.RefreshToken, signatureOf(t, first.AccessToken), signatureOf(t, amina.Tokens.AccessToken)}
	canaries := slices.Clone(atRest)
	messages, err := w.Sandbox.Messages(t.Context(), amina.Phone)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		if strings.Contains(m.Text, "code") {
			canaries = append(canaries, `"`+digits.FindString(m.Text)+`"`)
		}
	}
	logged := withoutSandbox(w.log.String())
	for _, c := range canaries {
		if i := strings.Index(logged, c); i >= 0 {
			t.Errorf("%q stands in the log: …%s…", c, logged[max(0, i-200):min(len(logged), i+100)])
		}
	}
	ctx := t.Context()
	if err := w.p.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{filepath.Join(w.dir, "kafka"), dataFolder(t, w.dir)} {
		err := filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || d.Type()&os.ModeType != 0 {
				return err
			}
			content, err := os.ReadFile(path) // #nosec G304 -- the test's own folder
			if err != nil {
				return err
			}
			for _, c := range atRest {
				if strings.Contains(string(content), c) {
					t.Errorf("%q stands open in %s", c, path)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
