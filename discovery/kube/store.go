package kube

import (
	"encoding/json"
	"errors"
	"fmt"
)

// store is the objects of a collection by name. T is a pointer to a type of objects.go.
type store[T interface{ meta() *metadata }] struct {
	make    func() T
	limit   int
	objects map[string]T // nil until the first list
}

func (o *object) meta() *metadata { return &o.Metadata }

// errObject is an object without a name or a version.
var errObject = errors.New("the API server sends an object without a name and a version")

// read reads one object.
func (s *store[T]) read(raw []byte) (T, error) {
	o := s.make()
	if err := json.Unmarshal(raw, o); err != nil {
		return o, errors.New("the API server sends an object that cannot be read")
	}
	return o, nil
}

// replace replaces all objects by those of a list.
func (s *store[T]) replace(items []json.RawMessage) error {
	objects := make(map[string]T, len(items))
	for _, raw := range items {
		o, err := s.read(raw)
		if err != nil {
			return err
		}
		if o.meta().Name == "" {
			return errObject
		}
		objects[o.meta().Name] = o
	}
	s.objects = objects
	return nil
}

// apply takes an event of a watch, and returns the version from which the next watch goes on.
func (s *store[T]) apply(e event) (version string, err error) {
	o, err := s.read(e.Object)
	if err != nil {
		return "", err
	}
	name, version := o.meta().Name, o.meta().ResourceVersion
	if version == "" || name == "" && e.Type != "BOOKMARK" {
		return "", errObject
	}
	switch e.Type {
	case "ADDED", "MODIFIED":
		s.objects[name] = o
		if len(s.objects) > s.limit {
			return "", fmt.Errorf("the API server has more than %d objects", s.limit)
		}
	case "DELETED":
		delete(s.objects, name)
	case "BOOKMARK":
	default:
		return "", fmt.Errorf("the API server sends an event %.20q, want ADDED, MODIFIED, DELETED or BOOKMARK", e.Type)
	}
	return version, nil
}
