package strictjson

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	cases := map[string]struct{ in, code, path string }{
		"object":             {`{"a":1,"b":[true,false,null,"x"]}`, "", ""},
		"spaces":             {" \t\r\n{ \"a\" : 1 } \n", "", ""},
		"scalar":             {`"x"`, "", ""},
		"empty":              {``, CodeEmpty, ""},
		"only spaces":        {"  \n", CodeEmpty, ""},
		"two values":         {`{}{}`, CodeTrailing, ""},
		"trailing word":      {`{} x`, CodeTrailing, ""},
		"trailing nul":       {"{}\x00", CodeTrailing, ""},
		"duplicate":          {`{"a":1,"a":1}`, CodeDuplicate, "a"},
		"duplicate escaped":  {`{"a":1,"\u0061":2}`, CodeDuplicate, "a"},
		"duplicate nested":   {`{"o":[{"k":1,"k":2}]}`, CodeDuplicate, "k 0 o"},
		"fraction":           {`{"a":1.0}`, CodeFraction, "a"},
		"exponent":           {`{"a":1e3}`, CodeFraction, "a"},
		"capital exponent":   {`{"a":1E+3}`, CodeFraction, "a"},
		"int64 max":          {`9223372036854775807`, "", ""},
		"beyond int64":       {`9223372036854775808`, CodeRange, ""},
		"leading zero":       {`01`, CodeTrailing, ""},
		"plus":               {`+1`, CodeSyntax, ""},
		"lone minus":         {`-`, CodeSyntax, ""},
		"dot without digit":  {`1.`, CodeSyntax, ""},
		"exponent no digit":  {`1e`, CodeSyntax, ""},
		"nan":                {`NaN`, CodeSyntax, ""},
		"depth at the limit": {deep(MaxDepth), "", ""},
		"depth beyond":       {deep(MaxDepth + 1), CodeDepth, strings.TrimSpace(strings.Repeat("0 ", MaxDepth))},
		"unclosed":           {`{"a":1`, CodeSyntax, ""},
		"trailing comma":     {`{"a":1,}`, CodeSyntax, ""},
		"array comma":        {`[1,]`, CodeSyntax, "1"},
		"comment":            {`{/*x*/}`, CodeSyntax, ""},
		"single quotes":      {`{'a':1}`, CodeSyntax, ""},
		"no colon":           {`{"a" 1}`, CodeSyntax, ""},
		"bad utf8":           {"\"\xff\"", CodeUTF8, ""},
		"overlong utf8":      {"\"\xc0\xaf\"", CodeUTF8, ""},
		"bom":                {"\xef\xbb\xbf{}", CodeSyntax, ""},
		"raw control":        {"\"a\nb\"", CodeString, ""},
		"bad escape":         {`"\x41"`, CodeString, ""},
		"short escape":       {`"\u12"`, CodeString, ""},
		"escaped nul":        {`{"x":["a\u0000b"]}`, CodeNUL, "0 x"},
		"nul in a key":       {`{"o":{"a\u0000b":1}}`, CodeNUL, "o"},
		"raw nul":            {"\"\x00\"", CodeString, ""},
		"lone high":          {`"\ud800"`, CodeString, ""},
		"lone low":           {`"\udc00"`, CodeString, ""},
		"high and no low":    {`"\ud800\u0041"`, CodeString, ""},
		"surrogate pair":     {`"\ud83d\ude00"`, "", ""},
		"open string":        {`"abc`, CodeSyntax, ""},
		"open escape":        {`"abc\`, CodeSyntax, ""},
		"half literal":       {`tru`, CodeSyntax, ""},
		"wrong literal":      {`True`, CodeSyntax, ""},
		"escaped quote":      {`"a\"b\\\/\b\f\n\r\t"`, "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, f := Decode([]byte(c.in), Options{})
			if c.code == "" {
				if f != nil {
					t.Fatalf("refused: %v", f)
				}
				same(t, []byte(c.in), v)
				return
			}
			if f == nil || f.Code != c.code || strings.Join(f.Path, " ") != c.path {
				t.Fatalf("got %+v, want %s at %q", f, c.code, c.path)
			}
		})
	}
}

func TestFractions(t *testing.T) {
	t.Parallel()
	for _, in := range []string{`1.5`, `-0.25e2`, `[1,2.5]`} {
		v, f := Decode([]byte(in), Options{Fractions: true})
		if f != nil {
			t.Fatalf("%s refused: %v", in, f)
		}
		same(t, []byte(in), v)
	}
	if _, f := Decode([]byte(`1e999`), Options{Fractions: true}); f == nil || f.Code != CodeRange {
		t.Fatalf("an infinite number: %v", f)
	}
}

// same fails unless encoding/json reads the same value.
func same(t testing.TB, in []byte, got any) {
	t.Helper()
	var want any
	dec := json.NewDecoder(bytes.NewReader(in))
	dec.UseNumber()
	if err := dec.Decode(&want); err != nil {
		t.Fatalf("accepted, but encoding/json refuses: %v", err)
	}
	if dec.More() {
		t.Fatal("accepted more than one value")
	}
	if want = plain(t, want); !reflect.DeepEqual(got, want) {
		t.Fatalf("read differently: %#v, encoding/json %#v", got, want)
	}
}

func plain(t testing.TB, v any) any {
	t.Helper()
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		n, err := v.Float64()
		if err != nil {
			t.Fatal(err)
		}
		return n
	case []any:
		for i := range v {
			v[i] = plain(t, v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plain(t, v[k])
		}
	}
	return v
}

// FuzzDecode checks that whatever is accepted means the same to encoding/json, and that nothing panics.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{"a":1}`, `{"a":{"b":[1,2,{"c":"\u00e9\ud83d\ude00"}]}}`, `[1.5,-0,1e3]`, `"\ud800"`, `{"a":1,"a":2}`,
		`{}{}`,
		"\"\xff\"", `[[[[[]]]]]`, `-`, `"\`, `{"amount":{"amount":9007199254740993,"currency":"KES"}}`, `tru`, ``, `nul`} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, fractions bool) {
		v, fault := Decode(in, Options{Fractions: fractions})
		if fault != nil {
			return
		}
		same(t, in, v)
	})
}

func BenchmarkDecode(b *testing.B) {
	in := []byte(`{"quote_id":"01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e","note":"rent for november","client_reference":"abc-1",
		"amount":{"amount":125000,"currency":"KES"}}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, f := Decode(in, Options{}); f != nil {
			b.Fatal(f)
		}
	}
}
