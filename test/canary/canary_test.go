package canary

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/generated/scopes"
	userclient "github.com/sendtip/sendtip/generated/user/client"
	"github.com/sendtip/sendtip/test/world"
)

// allowed are the columns that hold a field open, each with its reason.
var allowed = map[string]string{
	"deposit_account in wallet: wallets.deposit_account": "a payment at the paybill finds its wallet by it; its owner tells it to whoever " +
		"pays in",
}

// buffer keeps the platform's log, except what the sandbox writes: it plays the outside world.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := range bytes.Lines(p) {
		if !bytes.Contains(line, []byte(`"service":"sandbox"`)) {
			b.b.Write(line)
		}
	}
	return len(p), nil
}

// search counts places, and tells of each mark that one of them holds.
type search struct {
	*testing.T
	needles []needle
	places  int
	found   map[string]bool
	cached  map[string]string // what stood in Redis at any of the steps: most of it lives for seconds
}

func (s *search) look(place string, texts ...string) {
	s.places++
	for _, text := range texts {
		for _, n := range s.needles {
			where := n.field + " in " + place
			if !n.in(text) || s.found[where] {
				continue
			}
			s.found[where] = true
			if allowed[where] == "" {
				i := strings.Index(text, n.text)
				s.Errorf("a customer's %s …%s…", where, text[max(0, i-100):min(len(text), i+20)])
			}
		}
	}
}

// TestNothingPersonalIsKeptOpen lets twenty marked people and the staff go through the journeys, and looks everywhere.
func TestNothingPersonalIsKeptOpen(t *testing.T) {
	t.Parallel()
	log := &buffer{}
	w, err := world.Start(t.Context(), t.TempDir(), log)
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			_ = w.Platform.Stop(context.Background())
		}
		_ = platform.Remove(context.Background(), w.Dir)
	})
	r := &recorder{next: http.DefaultTransport, marks: map[string]string{}}
	w.HTTP = &http.Client{Timeout: w.HTTP.Timeout, Transport: r}
	s := &search{T: t, found: map[string]bool{}, cached: map[string]string{}}
	people(t, w, func() { s.readRedis(w) })
	if _, failed := journey.Run(t.Context(), w.World, func(step journey.Step) {
		s.readRedis(w)
		if step.Err != nil {
			t.Errorf("%s: %v", step.Name, step.Err)
		}
	}); failed > 0 {
		t.FailNow()
	}
	s.needles = needles(r.marks)
	for _, name := range platform.Services {
		s.database(w, name)
		s.metrics(w, name)
	}
	for key, value := range s.cached {
		s.look("Redis", key, value)
	}
	s.look("refusals", r.refusals...)
	stopped = true
	if err := w.Platform.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	log.mu.Lock()
	s.look("the log", log.b.String())
	log.mu.Unlock()
	s.files(filepath.Join(w.Dir, "kafka"))
	for where := range allowed {
		if !s.found[where] {
			t.Errorf("%s is allowed and was not found: delete the line", where)
		}
	}
	fields := map[string]int{}
	for _, field := range r.marks {
		fields[field]++
	}
	for _, field := range []string{"phone", "email", "first_name", "id_number", "pin", "otp", "secret", "refresh_token", "access_token"} {
		if fields[field] == 0 {
			t.Errorf("nobody has a marked %s", field)
		}
	}
	if s.places < 300 || len(r.marks) < 200 || len(s.cached) < 20 {
		t.Errorf("too little was searched: %d places, %d keys in Redis, for %d marks", s.places, len(s.cached), len(r.marks))
	}
	t.Logf("canaries: %d marks (%v) in %d spellings, %d places, %d finds", len(r.marks), fields, len(s.needles), s.places, len(s.found))
}

// TestSpellings: a mark is found however it is written, and a short one only alone, in quotes, or where a sentence says it.
func TestSpellings(t *testing.T) {
	t.Parallel()
	all := needles(map[string]string{"+254712345678": "phone", "Kanarimwana": "first_name", "4826": "pin", "482613": "otp"})
	for text, found := range map[string]bool{
		"to 254712345678": true, "to 0712345678.": true, "Kanarimwana": true, "KANARIMWANA WANJIRU": true, "kanarimwana": true, "Kanari": false,
		"4826": true, `{"pin":"4826"}`: true, "14826": false, "port 4826": false, "chose the PIN 4826.": true, "pin=4826": true,
		"pin: 48261":                false,
		"the code 482613 was right": true, "code: 482613": true, "(482613)": true, "after 482613.5 ms": false, "at 10:11:12.482613Z": false,
		`"rows":482613,`: false, "482613": true, "x482613": false,
		hex.EncodeToString([]byte("to Kanarimwana.")):                            true,
		base64.StdEncoding.EncodeToString([]byte("Kanarimwana")):                 true,
		base64.StdEncoding.EncodeToString([]byte("xKanarimwana")):                true,
		base64.StdEncoding.EncodeToString([]byte("to Kanarimwana, with thanks")): true,
		base64.StdEncoding.EncodeToString([]byte("xyKanarimwana!!")):             true,
		base64.RawURLEncoding.EncodeToString([]byte("{254712345678}")):           true,
	} {
		if got := slices.ContainsFunc(all, func(n needle) bool { return n.in(text) }); got != found {
			t.Errorf("%q: %t", text, got)
		}
	}
	if got := samples.ReplaceAllString("a{b=\"482613\"} 482613\nc 482613\n", ""); got != "a{b=\"482613\"}\nc\n" {
		t.Errorf("%q", got)
	}
}

var digits = regexp.MustCompile(`\b\d{6}\b`)

// people are twenty who join, pay each other and read their statements, and four who withdraw; one has a new PIN, one says
// that a claimed number is hers, one is suspended.
func people(t *testing.T, w *world.World, step func()) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var all []*journey.Customer
	for i := range 20 {
		c, err := w.Customer(t.Context(), fmt.Sprintf("Kanari%cmwana", 'a'+i), 500_00)
		must(err)
		step()
		all = append(all, c)
	}
	for i, c := range all {
		_, err := c.Send(t.Context(), all[(i+1)%len(all)], 10_00)
		must(err)
		_, err = c.Statement(t.Context())
		must(err)
		if i%5 == 0 {
			out, err := c.Withdraw(t.Context(), 20_00)
			must(err)
			_, err = c.WaitWithdrawal(t.Context(), out.ID, "paid")
			must(err)
		}
		step()
	}
	c := all[0]
	reset, err := c.User.StartPinResetWithResponse(t.Context(), userclient.PinResetRequest{Phone: c.Phone, DeviceID: c.Device})
	must(err)
	text := ""
	for text == "" {
		messages, err := w.Sandbox.Messages(t.Context(), c.Phone)
		must(err)
		for _, m := range messages {
			if strings.Contains(m.Text, "PIN reset") {
				text = m.Text
			}
		}
	}
	done, err := c.User.CompletePinResetWithResponse(t.Context(), reset.JSON202.PinResetID,
		userclient.PinResetCompletion{Otp: digits.FindString(text), Pin: "7305", DeviceID: c.Device, IDNumber: &c.IDNumber})
	must(err)
	if done.StatusCode() != http.StatusNoContent {
		t.Fatalf("a new PIN: %d", done.StatusCode())
	}
	claim, err := w.ClaimNumber(t.Context(), all[2])
	must(err)
	approval, err := all[2].StepUpFor(t.Context(), "rejectNumberClaim", claim)
	must(err)
	rejected, err := all[2].User.RejectNumberClaimWithResponse(t.Context(), claim, &userclient.RejectNumberClaimParams{StepUpToken: approval})
	must(err)
	if rejected.JSON200 == nil {
		t.Fatalf("keep a number: %d", rejected.StatusCode())
	}
	admins, err := w.MakeAdmins(t.Context())
	must(err)
	compliance, err := w.Appoint(t.Context(), admins, "Kanaristaff", scopes.RoleCompliance)
	must(err)
	asked(t, w, admins, compliance, all)
	suspended, err := compliance.User.SuspendUserWithResponse(t.Context(), all[1].UserID,
		userclient.SuspensionRequest{Reason: "For the canaries."})
	must(err)
	if suspended.JSON200 == nil {
		t.Fatalf("suspend: %d", suspended.StatusCode())
	}
}

// asked lets one change the number and another ask an account back, which two officers agree on.
func asked(t *testing.T, w *world.World, admins journey.Admins, maker *journey.Customer, all []*journey.Customer) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.ChangeNumber(t.Context(), all[2])
	must(err)
	checker, err := w.Appoint(t.Context(), admins, "Kanaristaff", scopes.RoleCompliance)
	must(err)
	phone, err := w.NewCustomer("Kanariphone")
	must(err)
	recovery, err := w.AskBack(t.Context(), all[3], phone)
	must(err)
	must(w.GiveBack(t.Context(), maker, checker, recovery))
	limit := int32(100)
	state := userclient.ListRecoveriesParamsStateCooling
	list, err := maker.User.ListRecoveriesWithResponse(t.Context(), &userclient.ListRecoveriesParams{State: &state, Limit: &limit})
	must(err)
	if list.JSON200 == nil || len(list.JSON200.Data) != 1 {
		t.Fatalf("recoveries: %d %s", list.StatusCode(), list.Body)
	}
}

// database looks through every column of a service's database as superuser; bytea is its bytes in hex, which is one of the spellings.
func (s *search) database(w *world.World, name string) {
	s.Helper()
	ctx := s.Context()
	conn, err := pgx.Connect(ctx, w.Platform.AdminURL(name))
	s.must(err)
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, `SELECT c.table_schema::text, c.table_name::text, c.column_name::text FROM information_schema.columns c
		JOIN information_schema.tables USING (table_schema, table_name)
		WHERE c.table_schema NOT IN ('pg_catalog', 'information_schema') AND table_type = 'BASE TABLE'`)
	s.must(err)
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Schema, Table, Name string }])
	s.must(err)
	for _, c := range columns {
		rows, err := conn.Query(ctx, fmt.Sprintf("SELECT %s::text FROM %s WHERE %[1]s IS NOT NULL", pgx.Identifier{c.Name}.Sanitize(),
			pgx.Identifier{c.Schema, c.Table}.Sanitize()))
		s.must(err)
		values, err := pgx.CollectRows(rows, pgx.RowTo[string])
		s.must(err)
		s.look(name+": "+c.Table+"."+c.Name, values...)
	}
}

// samples are the numbers at the ends of lines: what tells of somebody is a label.
var samples = regexp.MustCompile(`(?m) \S+$`)

func (s *search) metrics(w *world.World, name string) {
	s.Helper()
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", w.Ports.Ops(name)))
	s.must(err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	s.must(err)
	if resp.StatusCode != http.StatusOK {
		s.Errorf("metrics of %s: %d", name, resp.StatusCode)
	}
	s.look("metrics of "+name, samples.ReplaceAllString(string(text), ""))
}

// readRedis keeps every key and its value until they are searched, when all marks are known.
func (s *search) readRedis(w *world.World) {
	s.Helper()
	ctx := s.Context()
	password, err := w.Platform.Keys().Read(keys.RedisPassword)
	s.must(err)
	db := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", w.Ports.Redis()), Password: password})
	defer func() { _ = db.Close() }()
	all, err := db.Keys(ctx, "*").Result()
	s.must(err)
	for _, key := range all {
		var value any
		switch kind, err := db.Type(ctx, key).Result(); kind {
		case "hash":
			value, err = db.HGetAll(ctx, key).Result()
			s.must(err)
		case "string":
			if value, err = db.Get(ctx, key).Result(); errors.Is(err, redis.Nil) {
				value = ""
			} else {
				s.must(err)
			}
		case "none": // its time has come
			value = ""
		default:
			s.Errorf("%s is a %s, which this test cannot read: %v", key, kind, err)
		}
		s.cached[key] = fmt.Sprint(value)
	}
}

func (s *search) files(folder string) {
	s.Helper()
	before := s.places
	s.must(filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path) // #nosec G304 -- the test's own folder
		s.look("Kafka", string(text))
		return err
	}))
	if s.places == before {
		s.Errorf("nothing is in %s", folder)
	}
}

func (s *search) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}
