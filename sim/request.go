package sim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// decode reads the JSON body into a struct with vLLM's checks: content type, JSON, an object, required fields, and their
// types.
func (a *answer) decode(into any, required ...string) error {
	media, _, _ := strings.Cut(strings.ToLower(a.r.Header.Get("Content-Type")), ";")
	if media != "application/json" {
		return invalid("", "Unsupported Media Type: Only 'application/json' is allowed")
	}
	if len(a.body) == 0 {
		return invalid("body", finding("missing", "body", "Field required", "None"))
	}
	body := bytes.TrimPrefix(a.body, []byte("\ufeff")) // as Python's json does
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return notAnObject(body, err)
	}
	if findings, param := missingFields(fields, required); findings != nil {
		return invalid(param, findings...)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return wrongType(err, fields)
	}
	return nil
}

// missingFields returns a finding for each required field that is missing, and the path of the first one.
func missingFields(fields map[string]json.RawMessage, required []string) (findings []string, first string) {
	for _, name := range required {
		if _, ok := fields[name]; !ok {
			first = cmp.Or(first, "body."+name)
			findings = append(findings, finding("missing", "body."+name, "Field required", fmt.Sprintf("<dict of %d items>", len(fields))))
		}
	}
	return findings, first
}

// notAnObject is the answer to a body that is no JSON, or JSON of another type.
func notAnObject(body []byte, err error) problem {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return invalid("body", finding("model_attributes_type", "body",
			"Input should be a valid dictionary or object to extract fields from", shortInput(body)))
	}
	at, message := pythonError(body, syntax)
	loc := fmt.Sprintf("body.%d", at)
	return invalid(loc, fmt.Sprintf(
		"{'type': 'json_invalid', 'loc': '%s', 'msg': 'JSON decode error', 'input': '<dict of 0 items>', 'ctx': {'error': %s}}",
		loc, message))
}

// pythonError words a syntax error nearly as Python's json module does, with its place in the body.
func pythonError(body []byte, err *json.SyntaxError) (at int, message string) {
	at = int(err.Offset) - 1
	switch text := err.Error(); {
	case strings.Contains(text, "object key string"):
		return at, `'Expecting property name enclosed in double quotes'`
	case strings.HasPrefix(text, "unexpected end"):
		return len(body), `"Expecting ',' delimiter"`
	case strings.Contains(text, "after object key:value pair"), strings.Contains(text, "after array element"):
		return at, `"Expecting ',' delimiter"`
	case strings.Contains(text, "in literal"):
		return max(at-1, 0), `'Expecting value'`
	}
	return at, `'Expecting value'`
}

// shortInput describes an offending value as vLLM does: a list by its size, any other value by itself.
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

// pythonType words the wanted type nearly as pydantic does.
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
