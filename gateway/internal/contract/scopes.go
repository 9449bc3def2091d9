package contract

import (
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
)

// Scope is what an operation may ask for, and what it allows.
type Scope struct{ Name, Allows string }

// Role is what a kind of user may do.
type Role struct {
	Name   string
	Scopes []string
}

// readScopes reads the lists of scopes and roles in their order.
func (s *Set) readScopes(scopes, roles *yaml.Node) error {
	for i := 0; i+1 < len(scopes.Content); i += 2 {
		s.AllScopes = append(s.AllScopes, Scope{scopes.Content[i].Value, scopes.Content[i+1].Value})
	}
	for i := 0; i+1 < len(roles.Content); i += 2 {
		r := Role{Name: roles.Content[i].Value}
		if err := roles.Content[i+1].Decode(&r.Scopes); err != nil {
			return fmt.Errorf("services.yaml: role %s: %w", r.Name, err)
		}
		s.Roles = append(s.Roles, r)
	}
	return nil
}

// checkScopes holds the one list of scopes against who asks for them and who has them: a slip of the pen in a contract would close an
// operation to everybody, one in the list would give a right that means nothing yet.
func (s *Set) checkScopes() error {
	asked := map[string][]string{UserAuth: s.SchemeScopes(UserAuth), APIKey: s.SchemeScopes(APIKey), ServiceKey: s.SchemeScopes(ServiceKey)}
	listed := func(scope string) bool {
		return slices.ContainsFunc(s.AllScopes, func(l Scope) bool { return l.Name == scope })
	}
	for _, o := range s.Operations {
		for _, a := range o.Security {
			for _, scope := range a.Scopes {
				if !listed(scope) {
					return fmt.Errorf("%s asks for the scope %s, which services.yaml does not list", o.ID, scope)
				}
			}
		}
	}
	for _, l := range s.AllScopes {
		if !slices.Contains(slices.Concat(asked[UserAuth], asked[APIKey], asked[ServiceKey]), l.Name) {
			return fmt.Errorf("services.yaml lists the scope %s, which no operation asks for", l.Name)
		}
	}
	given := map[string]bool{}
	for _, r := range s.Roles {
		for _, scope := range r.Scopes {
			if !slices.Contains(asked[UserAuth], scope) {
				return fmt.Errorf("services.yaml gives the role %s the scope %s, which no operation asks of users", r.Name, scope)
			}
			given[scope] = true
		}
	}
	for _, scope := range asked[UserAuth] {
		if !given[scope] {
			return fmt.Errorf("services.yaml gives no role the scope %s", scope)
		}
	}
	for service, scopes := range s.Scopes {
		for _, scope := range scopes {
			if !slices.Contains(asked[ServiceKey], scope) {
				return fmt.Errorf("services.yaml gives %s the scope %s, which no operation asks of services", service, scope)
			}
		}
	}
	return nil
}
