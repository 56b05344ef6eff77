// Package identity finds the session that a request belongs to. A Search reads the head and the body of one request; an
// Identifier holds what the configuration says about all requests: where ids are looked for, and the names of models.
//
// Package proxy calls it for every request, package admin to find the sessions of an id. It knows no upstreams and keeps
// nothing of a request; package openings keeps the hashes of openings.
//
// The rules of identifier.go are tested with what real clients send, in clients_test.go, and those of config.go in package config.
package identity
