package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// decode reads the JSON body into a struct with vLLM's checks: content type, JSON, an object, required fields, their
// types. A request that fails is answered.
func (a *answer) decode(into any, required ...string) bool {
	media, _, _ := strings.Cut(strings.ToLower(a.r.Header.Get("Content-Type")), ";")
	if media != "application/json" {
		a.fail(invalid("", "Unsupported Media Type: Only 'application/json' is allowed"))
		return false
	}
	if len(a.body) == 0 {
		a.fail(invalid("body", finding("missing", "body", "Field required", "None")))
		return false
	}
	a.body = bytes.TrimPrefix(a.body, []byte("\ufeff")) // as Python's json does
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(a.body, &fields); err != nil {
		a.fail(a.notAnObject(err))
		return false
	}
	if missing := missingFields(fields, required); len(missing) > 0 {
		a.fail(invalid("body."+missing[0], describeMissing(missing, len(fields))...))
		return false
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		a.fail(wrongType(err, fields))
		return false
	}
	return true
}

func missingFields(fields map[string]json.RawMessage, required []string) []string {
	var missing []string
	for _, name := range required {
		if _, ok := fields[name]; !ok {
			missing = append(missing, name)
		}
	}
	return missing
}

func describeMissing(missing []string, have int) []string {
	var findings []string
	for _, name := range missing {
		findings = append(findings, finding("missing", "body."+name, "Field required", fmt.Sprintf("<dict of %d items>", have)))
	}
	return findings
}

// notAnObject is the answer to a body that is no JSON, or JSON of another type.
func (a *answer) notAnObject(err error) problem {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return invalid("body", finding("model_attributes_type", "body",
			"Input should be a valid dictionary or object to extract fields from", shortInput(a.body)))
	}
	at, python := a.pythonError(syntax)
	loc := fmt.Sprintf("body.%d", at)
	return invalid(loc, fmt.Sprintf(
		"{'type': 'json_invalid', 'loc': '%s', 'msg': 'JSON decode error', 'input': '<dict of 0 items>', 'ctx': {'error': %s}}",
		loc, python))
}

// pythonError words a syntax error nearly as Python's json module does, with its place in the body.
func (a *answer) pythonError(err *json.SyntaxError) (at int, message string) {
	at = int(err.Offset) - 1
	switch text := err.Error(); {
	case strings.Contains(text, "object key string"):
		return at, `'Expecting property name enclosed in double quotes'`
	case strings.HasPrefix(text, "unexpected end"):
		return len(a.body), `"Expecting ',' delimiter"`
	case strings.Contains(text, "after object key:value pair"), strings.Contains(text, "after array element"):
		return at, `"Expecting ',' delimiter"`
	case strings.Contains(text, "in literal"):
		return max(at-1, 0), `'Expecting value'`
	}
	return at, `'Expecting value'`
}

// shortInput describes an offending value as vLLM does: by its size, or as itself when it is short.
func shortInput(value []byte) string {
	var list []json.RawMessage
	if json.Unmarshal(value, &list) == nil && list != nil {
		return fmt.Sprintf("<list of %d items>", len(list))
	}
	return strings.Trim(string(bytes.TrimSpace(value)), `"`)
}

// wrongType is the answer to a field of another type.
func wrongType(err error, fields map[string]json.RawMessage) problem {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) || wrong.Field == "" {
		return invalid("body", finding("value_error", "body", "Input should be valid", "..."))
	}
	path := strings.TrimPrefix(wrong.Field, "options.")
	top, _, nested := strings.Cut(path, ".")
	input := "..."
	if !nested {
		input = shortInput(fields[top])
	}
	kind, msg := pythonType(wrong)
	return invalid("body."+path, finding(kind, "body."+path, msg, input))
}

// pythonType words what was wanted nearly as pydantic does.
func pythonType(wrong *json.UnmarshalTypeError) (kind, msg string) {
	switch wrong.Type.Kind() {
	case reflect.Int, reflect.Uint32:
		if wrong.Value == "string" {
			return "int_parsing", "Input should be a valid integer, unable to parse string as an integer"
		}
		return "int_type", "Input should be a valid integer"
	case reflect.Slice:
		return "list_type", "Input should be a valid list"
	case reflect.Bool:
		return "bool_parsing", "Input should be a valid boolean, unable to interpret input"
	case reflect.String:
		return "string_type", "Input should be a valid string"
	default:
		return "model_attributes_type", "Input should be a valid dictionary or object to extract fields from"
	}
}

// limitOf is the first limit that was set. It is nil when none was.
func limitOf(limits ...*int) *int {
	for _, l := range limits {
		if l != nil {
			return l
		}
	}
	return nil
}
