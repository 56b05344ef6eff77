package http1

import "testing"

// Parameters are found as Python's servers find them.
func TestParam(t *testing.T) {
	for value, want := range map[string]string{
		`multipart/form-data; boundary=b`:             "b",
		`multipart/form-data;boundary="b;c"; x=y`:     "b;c",
		`multipart/form-data; BOUNDARY = "b" `:        "b",
		`multipart/form-data; boundary=a=b`:           "a=b",
		`multipart/form-data; boundary=a/b; charset`:  "a/b",
		`multipart/form-data; boundary=a b`:           "a b",
		`multipart/form-data; charset; boundary=b`:    "b",
		`multipart/form-data; boundary=a; boundary=b`: "b",
		`x; boundary="a\"b\\c\d"`:                     `a"b\c\d`,
		`x; boundary="open`:                           "open",
		`x; y="; boundary=a"; boundary=b`:             "b",
		`x; boundary=""`:                              "",
		`x; boundary=`:                                "",
	} {
		if got, ok := Param([]byte(value), "boundary"); string(got) != want || !ok {
			t.Errorf("%s: %q, %v, want %q", value, got, ok, want)
		}
	}
	for _, value := range []string{"", "boundary=b", "x; boundary", "x; boundary*=b", "x; other=boundary", `x; y="; boundary=a"`, ";;", "; =b"} {
		if got, ok := Param([]byte(value), "boundary"); ok {
			t.Errorf("%s: %q", value, got)
		}
	}
}
