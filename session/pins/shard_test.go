package pins

import (
	"reflect"
	"testing"
)

// Entries hold no pointers, so that the garbage collector does not scan them.
func TestEntriesHoldNoPointers(t *testing.T) {
	for _, v := range []any{entry{}, seatCount{}} {
		if at := pointerIn(reflect.TypeOf(v)); at != "" {
			t.Errorf("%T holds a pointer: %s", v, at)
		}
	}
}

func pointerIn(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			if at := pointerIn(t.Field(i).Type); at != "" {
				return t.Field(i).Name + "." + at
			}
		}
		return ""
	case reflect.Array:
		return pointerIn(t.Elem())
	case reflect.Bool, reflect.Uint8, reflect.Uint32, reflect.Uint64, reflect.Int32:
		return ""
	}
	return t.String()
}
