package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A tag `is` holds rules, separated by blanks. Beside the forms of rules.go:
//
//	required     it must be set
//	production   it must be set (a switch: true) in production
//	absent       it must not be set in production
//	with=NAME    it must be set when NAME is
//	https        in production the address must begin with https://
//	tls          in production the address must begin with rediss://
//	files        in production the folder must be absolute, or the server behind https://
//	real         in production it must be 1: nothing runs faster there than in reality
//	own          in production it must not be the sandbox's; own=x: nor x
//	min=1        the number must not be smaller
//	max=11       the text must not be longer, in characters
//	digits=5-8   the text must be so many digits

// Setting is a variable of the environment that fills a field.
type Setting struct {
	Name    string
	Default string
	Rules   []string // as the tag has them
	Secret  bool

	texts []string // one, or the elements of a list; none: it is not set
}

// Settings are those of a type, in the order of its fields.
func Settings[T any]() []Setting {
	var cfg T
	return settings(reflect.ValueOf(cfg))
}

func settings(v reflect.Value) []Setting {
	var out []Setting
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		name := field.Tag.Get("env")
		switch {
		case name == "-" || !field.IsExported():
		case name != "":
			_, secret := value.Interface().(Secret)
			out = append(out, Setting{Name: name, Default: field.Tag.Get("envDefault"), Rules: rules(name, field.Tag.Get("is")), Secret: secret,
				texts: texts(value)})
		case value.Kind() == reflect.Struct:
			out = append(out, settings(value)...)
		}
	}
	return out
}

// texts are what a field was filled with, as far as rules ask.
func texts(v reflect.Value) []string {
	switch value := v.Interface().(type) {
	case Secret:
		if value.Set() {
			return []string{value.Reveal()}
		}
		return nil
	case []string:
		return value
	}
	if v.IsZero() {
		if v.Kind() == reflect.Int32 {
			return []string{"0"}
		}
		return nil
	}
	return []string{fmt.Sprint(v.Interface())}
}

// check finds what is wrong with the settings of cfg, in the order of its fields.
func check(cfg any) []string {
	v := reflect.ValueOf(cfg)
	if v.Kind() != reflect.Struct {
		return nil
	}
	all := settings(v)
	set := map[string]bool{}
	live := false
	for _, s := range all {
		set[s.Name] = len(s.texts) > 0
		live = live || s.Name == environment && len(s.texts) == 1 && s.texts[0] == production
	}
	var faults []string
	for _, s := range all {
		for _, r := range s.Rules {
			if f := s.judge(r, live, set); f != "" {
				faults = append(faults, f)
				break
			}
		}
	}
	return faults
}

// judge says what a rule finds wrong; set tells which settings are there, live that it is production.
func (s Setting) judge(rule string, live bool, set map[string]bool) string {
	kind, arg, _ := strings.Cut(rule, "=")
	here := set[s.Name]
	switch {
	case kind == "required" && !here:
		return s.Name + " is not set: " + s.hint()
	case kind == "production" && live && !here:
		return s.Name + " is not set, and production needs it"
	case kind == "absent" && live && here:
		return s.Name + " must not be set in production"
	case kind == "with" && set[arg] && !here:
		return s.Name + " is not set, and " + arg + " is"
	}
	for _, text := range s.texts {
		if want := wrong(kind, arg, text, live); want != "" {
			return s.Name + want
		}
	}
	return ""
}

func (s Setting) hint() string {
	for _, r := range s.Rules {
		if r == "key" || r == "kek" {
			return "`sendtip keys init` makes it"
		}
	}
	return "the service's README lists the settings"
}

// wrong completes "NAME…" with what is wrong with a text.
func wrong(kind, arg, text string, live bool) string {
	n, _ := strconv.Atoi(arg)
	switch kind {
	case "https", "tls":
		if scheme := map[string]string{"https": "https://", "tls": "rediss://"}[kind]; live && !strings.HasPrefix(text, scheme) {
			return " must begin with " + scheme + " in production"
		}
	case "files":
		if store, err := ParseFileStore(text); live && err == nil && !store.live() {
			return " must be file:///an/absolute/folder, or have an endpoint that begins with https://, in production"
		}
	case "own":
		if live && (strings.HasPrefix(text, sandboxPrefix) || arg != "" && text == arg) {
			return " is the sandbox's: production needs your own"
		}
	case "real":
		if live && text != "1" {
			return " must be 1 in production"
		}
	case "min":
		if v, err := strconv.Atoi(text); err != nil || v < n {
			return " must be " + arg + " or more"
		}
	case "digits":
		if least, most, _ := strings.Cut(arg, "-"); !isDigits(text, least, most) {
			return " must have " + arg + " digits"
		}
	case "max":
		if utf8.RuneCountInString(text) > n {
			return " must have " + arg + " characters at most"
		}
	}
	if f, ok := forms[kind]; ok && !f.is(text) {
		return " must be " + f.want
	}
	return ""
}

// others are the rules that are no forms.
var others = strings.Fields("required production absent with https tls own real min max digits")

// rules reads the tag of a setting. A rule that there is not would judge nothing, unseen: that is a fault of the program.
func rules(setting, tag string) []string {
	all := strings.Fields(tag)
	for _, r := range all {
		kind, _, _ := strings.Cut(r, "=")
		if _, form := forms[kind]; !form && !slices.Contains(others, kind) {
			panic("config: " + setting + " has a rule that there is not: " + kind)
		}
	}
	return all
}

func join(faults []string) error {
	if len(faults) == 0 {
		return nil
	}
	return errors.New(strings.Join(faults, "; "))
}
