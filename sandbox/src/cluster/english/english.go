// Package english has kubectl's messages left as they stand in its source.
// Else each start of kubectl, and of helm, which links it, unpacks and parses
// a catalogue of translations: most of the time that such a start takes.
//
// Packages are initialised in the order of their paths: this one's comes
// before all that translate, which is why the module is called cluster.
package english

import "k8s.io/kubectl/pkg/util/i18n"

func init() {
	if err := i18n.SetLoadTranslationsFunc(func() error { return nil }); err != nil {
		panic(err)
	}
}
