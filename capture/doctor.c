#include "capture/doctor.h"
int rf_doctor(FILE *out, bool json)
{
	return 0;
}
