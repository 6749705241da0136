package inventory

import (
	"sync"
)

// languagesPackage registers the catalogers of languages.
const languagesPackage = "github.com/mullion/mullion/contrib/scan"

// An UnlinkedError says that the program was built without catalogers of languages.
type UnlinkedError struct {
	Package string // the package to import
}

// Error does not name the package, which says nothing to a user of the program.
func (e *UnlinkedError) Error() string {
	return "this program has no catalogers of programming languages"
}

var (
	languages   func() []Cataloger
	languagesMu sync.RWMutex
)

// RegisterLanguages makes catalogers of the packages of programming languages available
// to [Languages] and [WithLanguages]. The function returns new ones at each call. A package
// with such catalogers, which are heavy and in a module of their own, calls it in init. It
// panics if it is called twice.
func RegisterLanguages(catalogers func() []Cataloger) {
	languagesMu.Lock()
	defer languagesMu.Unlock()
	if languages != nil {
		panic("inventory: catalogers of languages are registered twice")
	}
	languages = catalogers
}

// Languages returns new catalogers of the packages of programming languages. The error is an
// [UnlinkedError] if none are registered.
func Languages() ([]Cataloger, error) {
	languagesMu.RLock()
	defer languagesMu.RUnlock()
	if languages == nil {
		return nil, &UnlinkedError{languagesPackage}
	}
	return languages(), nil
}
