package inerttest

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Fill sets every string of what v points to, which is called name, to what text makes of its path, and every list to two elements.
func Fill(v any, name string, text func(path string) string) {
	fillValue(reflect.ValueOf(v).Elem(), name, text)
}

func fillValue(v reflect.Value, path string, text func(path string) string) {
	switch {
	case !v.CanSet():
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)))
	case v.Kind() == reflect.String:
		v.SetString(text(path))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fillValue(v.Field(i), path+"."+v.Type().Field(i).Name, text)
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fillValue(v.Index(i), fmt.Sprintf("%s%d", path, i), text)
		}
	case v.Kind() == reflect.Pointer && !strings.Contains(path, "regexp"):
		v.Set(reflect.New(v.Type().Elem()))
		fillValue(v.Elem(), path, text)
	case v.Kind() == reflect.Int, v.Kind() == reflect.Int64:
		v.SetInt(3)
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	}
}
