package validate

import (
	"errors"
	"sort"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/sendtip/sendtip/kit/fault"
)

// details are our own sentences: kin's texts hold the schema and the value.
var details = map[string]string{
	"required":             "It is missing.",
	"unknown_property":     "The contract has no such property.",
	"type":                 "It has the wrong type.",
	"enum":                 "It is not one of the allowed values.",
	"pattern":              "It does not have the right format.",
	"format":               "It does not have the right format.",
	"minimum":              "The number is below the minimum.",
	"maximum":              "The number is above the maximum.",
	"minLength":            "The text is too short.",
	"maxLength":            "The text is too long.",
	"minItems":             "The list has too few entries.",
	"maxItems":             "The list has too many entries.",
	"uniqueItems":          "The list has the same entry twice.",
	"maxProperties":        "The object has too many properties.",
	"nullable":             "It must not be null; leave it out instead.",
	"readOnly":             "It cannot be set.",
	"syntax":               "This is not valid JSON.",
	"empty":                "The body is empty.",
	"trailing_data":        "Only one JSON value is allowed.",
	"duplicate_key":        "The property is given twice.",
	"too_deep":             "The nesting is too deep.",
	"invalid_utf8":         "The text is not valid UTF-8.",
	"invalid_string":       "The text contains a character or an escape that is not allowed.",
	"nul_character":        "The text contains the NUL character, which cannot be stored.",
	"not_an_integer":       "Write the number as an integer, without a fraction or an exponent.",
	"number_out_of_range":  "The number is out of range.",
	"multipleOf":           "The number has too many digits.",
	"additionalProperties": "The contract has no such property.",
}

func detailOf(code string) string {
	if d, ok := details[code]; ok {
		return d
	}
	return "It does not match the contract."
}

// fieldsOf turns kin's error tree into places and codes.
func fieldsOf(err error) []fault.Field {
	if err == nil {
		return nil
	}
	var fields []fault.Field
	collect(err, &fields, map[string]bool{})
	if len(fields) == 0 {
		fields = []fault.Field{{Code: "invalid", Detail: detailOf("invalid")}}
	}
	sort.SliceStable(fields, func(i, j int) bool { return fields[i].Pointer < fields[j].Pointer })
	return fields
}

// collect walks kin's tree. named are the objects whose unknown properties were named already: kin repeats the object for each of them,
// and a body can hold thousands.
func collect(err error, out *[]fault.Field, named map[string]bool) {
	if len(*out) >= maxFields {
		return
	}
	if many, ok := err.(openapi3.MultiError); ok { //nolint:errorlint // the tree is walked node by node
		for _, e := range many {
			collect(e, out, named)
		}
		return
	}
	var se *openapi3.SchemaError
	if !errors.As(err, &se) {
		return
	}
	if se.SchemaField == "allOf" && se.Origin != nil {
		before := len(*out)
		if inner := errors.Unwrap(se.Origin); inner != nil {
			for _, e := range unwrapAll(inner) {
				collect(e, out, named)
			}
		}
		if len(*out) > before {
			return
		}
	}
	path := se.JSONPointer()
	if se.SchemaField == "properties" {
		if place := strings.Join(path, "/"); !named[place] {
			named[place] = true
			unknown(se, path, out)
		}
		return
	}
	detail := detailOf(se.SchemaField)
	if se.SchemaField == "type" {
		detail = wrongType(se.Schema).Detail
	}
	*out = append(*out, fault.Field{Pointer: pointer(path), Code: se.SchemaField, Detail: detail})
}

// types say what a value must be.
var types = map[string]string{
	"integer": "It must be a whole number.", "number": "It must be a number.", "boolean": "It must be true or false.",
	"string": "It must be text.", "array": "It must be a list.", "object": "It must be an object.",
}

// wrongType is the field of a value that is not of the schema's type.
func wrongType(s *openapi3.Schema) fault.Field {
	for name, detail := range types {
		if s.Type.Is(name) {
			return fault.Field{Code: "type", Detail: detail}
		}
	}
	return fault.Field{Code: "type", Detail: detailOf("type")}
}

func unwrapAll(err error) []error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()
	}
	var many openapi3.MultiError
	if errors.As(err, &many) {
		return many
	}
	return []error{err}
}

// unknown names the properties that the schema lacks: kin gives one error for each, with the name only in its text.
func unknown(se *openapi3.SchemaError, path []string, out *[]fault.Field) {
	object, _ := se.Value.(map[string]any)
	for name := range object {
		if _, declared := se.Schema.Properties[name]; declared {
			continue
		}
		field := fault.Field{Pointer: pointer(append(path[:len(path):len(path)], name)), Code: "unknown_property",
			Detail: detailOf("unknown_property")}
		if !contains(*out, field) && len(*out) < maxFields {
			*out = append(*out, field)
		}
	}
}

func contains(fields []fault.Field, f fault.Field) bool {
	for _, other := range fields {
		if other == f {
			return true
		}
	}
	return false
}

// pointerOf turns a path from the innermost segment outwards into a JSON Pointer.
func pointerOf(reversed []string) string {
	path := make([]string, 0, len(reversed))
	for i := len(reversed) - 1; i >= 0; i-- {
		path = append(path, reversed[i])
	}
	return pointer(path)
}

// pointer writes a JSON Pointer and cuts it before the first segment that does not look like a name of a contract: keys of a
// map are input, and could be a phone number.
func pointer(path []string) string {
	var b strings.Builder
	for _, segment := range path {
		if printable(segment) == "" {
			break
		}
		b.WriteByte('/')
		b.WriteString(segment)
	}
	return b.String()
}

// printable returns the name if it is a plain identifier or an index, else "".
func printable(name string) string {
	if _, err := strconv.ParseUint(name, 10, 16); err == nil && len(name) <= 4 {
		return name
	}
	if name == "" || len(name) > 64 || name[0] >= '0' && name[0] <= '9' {
		return ""
	}
	for _, c := range []byte(name) {
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return ""
		}
	}
	return name
}
