package balance

import "testing"

func TestReasons(t *testing.T) {
	want := [...]string{"", "busier", "gone", "hung", "full", "drain", "down"}
	if Reasons != want || Stayed.String() != "" || Busier.String() != "busier" || Lost.String() != "down" {
		t.Errorf("%q", Reasons)
	}
}
