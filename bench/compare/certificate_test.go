package main

import (
	"crypto/tls"
	"testing"
)

func TestMakeCertificate(t *testing.T) {
	cert, key, err := makeCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := pair.Leaf.VerifyHostname("bench"); err != nil {
		t.Error(err)
	}
	if _, _, err := makeCertificate("/nonexistent"); err == nil {
		t.Error("a folder that does not exist is no error")
	}
}
