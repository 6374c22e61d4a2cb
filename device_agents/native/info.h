#ifndef HWA_INFO_H
#define HWA_INFO_H

/* Writes the line of facts about the device. The exit status. */
int hwa_info(void);

#endif
