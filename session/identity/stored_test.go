package identity

import "testing"

// The key of a stored response depends on the response and on the caller. A refreshed token is the same caller.
func TestResponseKeys(t *testing.T) {
	id := mustIdentifier(t, nil)
	key := func(response string, headers ...string) Key {
		return id.Response(request{headers: headers}.search(id).Caller(), []byte(response))
	}
	alice := "Authorization: Bearer " + jwt(`{"iss":"i","sub":"alice","exp":1}`)
	refreshed := "Authorization: Bearer " + jwt(`{"iss":"i","sub":"alice","exp":2}`)
	bob := "Authorization: Bearer " + jwt(`{"iss":"i","sub":"bob","exp":1}`)
	if key("resp_1", alice) != key("resp_1", refreshed) {
		t.Error("a refreshed token is another caller")
	}
	if key("resp_1", alice) == key("resp_1", bob) || key("resp_1", alice) == key("resp_1") || key("resp_1", alice) == key("resp_2", alice) {
		t.Error("two callers or two responses share a key")
	}
}

// A name from SetCaller takes the place of the head.
func TestSetCaller(t *testing.T) {
	id := mustIdentifier(t, nil)
	caller := func(name, header string) Caller {
		s := request{headers: []string{header}}.search(id)
		s.SetCaller(name)
		return s.Caller()
	}
	if caller("a", "X-Api-Key: 1") != caller("a", "X-Api-Key: 2") || caller("a", "X-Api-Key: 1") == caller("b", "X-Api-Key: 1") {
		t.Error("the head counts beside the name")
	}
}
