package config

import (
	"encoding"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

var duration = reflect.TypeFor[time.Duration]()

// isText reports whether the value can read itself from text.
func isText(v reflect.Value) bool {
	_, ok := v.Addr().Interface().(encoding.TextUnmarshaler)
	return ok
}

// setText sets v from text: a scalar, a list of strings, the URLs of upstreams, or a map of names to scalars.
func setText(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch {
	case v.Type() == duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q, want a duration such as 500ms, 5s or 1h30m", text)
		}
		v.SetInt(int64(d))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q, want a whole number", text)
		}
		v.SetInt(int64(n))
	case v.Kind() == reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%q, want a number", text)
		}
		v.SetFloat(n)
	case v.Kind() == reflect.Bool:
		b, ok := map[string]bool{"true": true, "false": false}[text]
		if !ok {
			return fmt.Errorf("%q, want true or false", text)
		}
		v.SetBool(b)
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return setText(v.Elem(), text)
	case v.Kind() == reflect.Slice:
		return setList(v, text)
	case v.Kind() == reflect.Map:
		return setMap(v, text)
	default:
		panic("BUG: no text for " + v.Type().String())
	}
	return nil
}

func setList(v reflect.Value, text string) error {
	v.SetZero()
	for _, item := range strings.Split(text, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		element := reflect.New(v.Type().Elem()).Elem()
		if u, ok := element.Addr().Interface().(*Upstream); ok {
			u.URL = item
		} else if d, ok := element.Addr().Interface().(*Discovery); ok {
			if err := d.setText(item); err != nil {
				return err
			}
		} else if err := setText(element, item); err != nil {
			return err
		}
		v.Set(reflect.Append(v, element))
	}
	return nil
}

func setMap(v reflect.Value, text string) error {
	v.Set(reflect.MakeMap(v.Type()))
	for _, item := range strings.Split(text, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		name, value, ok := strings.Cut(item, "=")
		if !ok {
			return fmt.Errorf("%q, want NAME=VALUE, comma-separated", item)
		}
		element := reflect.New(v.Type().Elem()).Elem()
		if err := setText(element, strings.TrimSpace(value)); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(strings.TrimSpace(name)), element)
	}
	return nil
}

func keysOf[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// didYouMean returns a hint at the known key that is closest to key, "" if none is close.
func didYouMean(key string, known []string) string {
	best, d := closest(key, known)
	if d > 2 {
		return ""
	}
	return ", did you mean " + best + "?"
}

// closest returns the known key that is closest to key, and its distance.
func closest(key string, known []string) (best string, least int) {
	least = math.MaxInt
	for _, k := range known {
		if d := distance(key, k); d < least {
			best, least = k, d
		}
	}
	return best, least
}

// distance returns how many letters must be added, dropped or changed to turn a into b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
