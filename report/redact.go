package report

import (
	"reflect"
	"time"
)

// Redact replaces every string of the story by what redact makes of it. Events are left out: their renderer has done so.
func (s *Story) Redact(redact func(string) string) {
	events := s.Events
	s.Events = nil
	redactValue(reflect.ValueOf(s).Elem(), redact)
	s.Events = events
}

// redactValue walks whatever a story is made of, so that no field, of today or of later, is forgotten.
func redactValue(v reflect.Value, redact func(string) string) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() && v.Len() > 0 {
			v.SetString(redact(v.String()))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			redactValue(v.Elem(), redact)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			redactValue(v.Index(i), redact)
		}
	case reflect.Map:
		redactMap(v, redact)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			redactValue(v.Field(i), redact)
		}
	}
}

// redactMap redacts the values of a map; its keys are words of this program.
func redactMap(v reflect.Value, redact func(string) string) {
	if v.Type().Elem().Kind() != reflect.String || !v.CanSet() {
		return
	}
	for _, key := range v.MapKeys() {
		v.SetMapIndex(key, reflect.ValueOf(redact(v.MapIndex(key).String())).Convert(v.Type().Elem()))
	}
}
