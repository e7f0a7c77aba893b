/* The centre of what was recognised: number, column, row, width and pixels in, number and centre out, line by line. */

#include <stdio.h>

int main(void) {
    int number, left, top, width;
    char pixels[4001];
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (scanf("%d %d %d %d %4000s", &number, &left, &top, &width, pixels) == 5 && width > 0) {
        double x = 0, y = 0, sum = 0;
        for (int at = 0; pixels[at] != '\0'; at++) {
            int light = pixels[at] - '0';
            x += light * (left + at % width);
            y += light * (top + at / width);
            sum += light;
        }
        printf("%d %.1f %.1f\n", number, x / sum, y / sum);
    }
    return ferror(stdin) != 0;
}
