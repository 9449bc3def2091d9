package contract

import (
	"errors"
	"fmt"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// check refuses combinations that would leave an operation open by accident.
func (o *Operation) check() error {
	if !strings.HasPrefix(o.Path, "/v1/") {
		return errors.New("paths begin with /v1/")
	}
	switch o.Visibility {
	case Webhook:
		if len(o.Security) > 0 || !strings.HasPrefix(o.Path, "/v1/hooks/") {
			return errors.New("a webhook has security [] and a path under /v1/hooks/")
		}
	case Internal:
		if len(o.Security) == 0 {
			return errors.New("an internal operation needs serviceKey")
		}
		for _, a := range o.Security {
			if a.Scheme != ServiceKey || len(a.Scopes) == 0 {
				return errors.New("an internal operation takes serviceKey with at least one scope, and nothing else")
			}
		}
	case Public:
		if strings.HasPrefix(o.Path, "/v1/hooks/") || strings.HasPrefix(o.Path, "/v1/internal/") {
			return errors.New("the path belongs to another visibility")
		}
	}
	for _, a := range o.Security {
		if len(a.Scopes) == 0 {
			return fmt.Errorf("security: %s needs at least one scope", a.Scheme)
		}
	}
	if o.StepUp && (len(o.Security) != 1 || o.Security[0].Scheme != UserAuth) {
		return errors.New("x-step-up needs userAuth alone: only a person can confirm with a PIN")
	}
	if o.Actor != "" && (len(o.Security) != 1 || o.Security[0].Scheme != UserAuth) {
		return errors.New("x-actor needs userAuth alone: only a user acts as an agent")
	}
	return o.checkBody()
}

func (o *Operation) checkBody() error {
	for _, l := range o.Limits {
		if l.Body() && (o.Body == nil || o.Visibility == Webhook) {
			return fmt.Errorf("x-rate-limit: %s points into a body that is not checked", l.Key)
		}
	}
	if o.Body == nil || o.Visibility == Webhook {
		return nil
	}
	if len(o.Body.Content) != 1 {
		return errors.New("a request body has exactly one media type")
	}
	media := o.Body.Content["application/json"]
	if media == nil || media.Schema == nil || media.Schema.Value == nil {
		return errors.New("a request body is application/json with a schema")
	}
	return closed(media.Schema.Value, map[*openapi3.Schema]bool{})
}

// closed demands additionalProperties of every object of a request: false, or a schema for maps. Else a field could pass
// the gateway unseen.
func closed(s *openapi3.Schema, seen map[*openapi3.Schema]bool) error {
	if seen[s] {
		return nil
	}
	seen[s] = true
	if len(s.OneOf)+len(s.AnyOf) > 0 || s.Not != nil {
		return errors.New("request schemas have no oneOf, anyOf or not")
	}
	if s.Type.Is("object") {
		extra := s.AdditionalProperties
		if extra.Schema == nil && (extra.Has == nil || *extra.Has) {
			return errors.New("an object of the request has no additionalProperties: false")
		}
		if extra.Schema != nil && extra.Schema.Value != nil {
			if err := closed(extra.Schema.Value, seen); err != nil {
				return err
			}
		}
	}
	if s.Items != nil && s.Items.Value != nil {
		if err := closed(s.Items.Value, seen); err != nil {
			return err
		}
	}
	for _, part := range s.AllOf {
		if err := closed(part.Value, seen); err != nil {
			return err
		}
	}
	for name, p := range s.Properties {
		if err := closed(p.Value, seen); err != nil {
			return fmt.Errorf("property %s: %w", name, err)
		}
	}
	return nil
}

// checkUnique refuses two operations with one id, and two routes that a request could both mean.
func (s *Set) checkUnique() error {
	ids, routes := map[string]string{}, map[string]string{}
	for _, o := range s.Operations {
		if other, ok := ids[o.ID]; ok {
			return fmt.Errorf("operationId %s is used by %s and by %s", o.ID, other, o.Template())
		}
		ids[o.ID] = o.Template()
		shape := o.Method + " " + shapeOf(o.Path)
		if other, ok := routes[shape]; ok {
			return fmt.Errorf("%s and %s are the same route", o.Template(), other)
		}
		routes[shape] = o.Template()
	}
	return nil
}

func shapeOf(p string) string {
	segments := strings.Split(p, "/")
	for i, s := range segments {
		if strings.HasPrefix(s, "{") {
			segments[i] = "{}"
		}
	}
	return strings.Join(segments, "/")
}
