package plugin

import (
	"encoding/json"
	"fmt"

	process "{{name}}/bindings/castoff_process_processes"
	errors "{{name}}/bindings/castoff_types_errors"

	types "go.bytecodealliance.org/pkg/wit/types"
)

// Fault is an error as the host knows it: what the person reads who looks at the failed step.
type Fault struct {
	Error_ errors.Error
}

func (fault Fault) Error() string {
	switch fault.Error_.Tag() {
	case errors.ErrorDenied:
		return fault.Error_.Denied().Power + ": " + fault.Error_.Denied().Hint
	case errors.ErrorNotFound:
		return fault.Error_.NotFound()
	case errors.ErrorConflict:
		return fault.Error_.Conflict()
	case errors.ErrorUnavailable:
		return fault.Error_.Unavailable()
	case errors.ErrorRateLimited:
		return fault.Error_.RateLimited().Message
	case errors.ErrorInvalid:
		return fault.Error_.Invalid()
	default:
		return fault.Error_.Cancelled()
	}
}

// Reported is an error of this package as the host takes it.
func Reported(err error) errors.Error {
	if fault, ok := err.(Fault); ok {
		return fault.Error_
	}
	return errors.MakeErrorInvalid(err.Error())
}

func invalid(format string, values ...any) error {
	return Fault{errors.MakeErrorInvalid(fmt.Sprintf(format, values...))}
}

func notFound(format string, values ...any) error {
	return Fault{errors.MakeErrorNotFound(fmt.Sprintf(format, values...))}
}

func conflict(format string, values ...any) error {
	return Fault{errors.MakeErrorConflict(fmt.Sprintf(format, values...))}
}

// What a call of the host returned, as Go has it.
func got[T any](result types.Result[T, errors.Error]) (T, error) {
	if result.IsErr() {
		var none T
		return none, Fault{result.Err()}
	}
	return result.Ok(), nil
}

// The step is done and leaves this for those after it.
func done(outputs any) (process.Outcome, error) {
	value, err := json.Marshal(outputs)
	return process.MakeOutcomeDone(string(value)), err
}

// What a step before this one left.
func needed[T any](context process.Context, step string) (T, error) {
	var read T
	for _, output := range context.Outputs {
		if output.Step == step {
			err := json.Unmarshal([]byte(output.Value), &read)
			return read, err
		}
	}
	return read, invalid("step %s needs the output of %s, which is not there", context.Step, step)
}
