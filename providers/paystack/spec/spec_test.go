package spec

import (
	"strings"
	"testing"
)

func TestCorrectionsApply(t *testing.T) {
	t.Parallel()
	doc, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Components.Schemas["TransferRecipientCreate"].Value.VisitJSON(map[string]any{"type": "kepss", "name": "x",
		"account_number": "1", "bank_code": "68"}); err != nil {
		t.Error(err)
	}
	failure := doc.Components.Schemas["Error"].Value
	for kind, fine := range map[string]bool{"validation_error": true, "other": false} {
		err := failure.VisitJSON(map[string]any{"status": false, "message": "x", "type": kind, "code": "missing_params"})
		if (err == nil) != fine {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if _, err := NewChecked(nil, func(error) {}); err != nil {
		t.Error(err)
	}
	if _, err := Webhooks(); err != nil {
		t.Error(err)
	}
}

func TestCorrectionsMustBeNeeded(t *testing.T) {
	t.Parallel()
	doc := func() any { return map[string]any{"a": map[string]any{"list": []any{"x"}, "text": "y"}} }
	for name, c := range map[string]struct {
		correction
		at, want string
	}{
		"set":            {correction{Set: "z"}, "/a/text", ""},
		"set as it is":   {correction{Set: "y"}, "/a/text", "is so already"},
		"add":            {correction{Add: []any{"z"}}, "/a/list", ""},
		"no such place":  {correction{Set: "z"}, "/a/other", "no other"},
		"remove nothing": {correction{Remove: []string{"z"}}, "/a", "nothing to remove"},
		"add to a text":  {correction{Add: map[string]any{"k": "v"}}, "/a/text", "is no object"},
		"no entry":       {correction{Set: "z"}, "/a/list/3", "no 3"},
	} {
		err := c.apply(doc(), c.at)
		if (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
