# Generates smart_resize.txt: sizes of Qwen2.5-VL's rule, by Python's arithmetic.
# Run: python3 smart_resize.py > smart_resize.txt
import math

def smart_resize(height, width, factor, min_pixels, max_pixels):
    h = max(factor, round(height / factor) * factor)
    w = max(factor, round(width / factor) * factor)
    if h * w > max_pixels:
        beta = math.sqrt((height * width) / max_pixels)
        h = max(factor, math.floor(height / beta / factor) * factor)
        w = max(factor, math.floor(width / beta / factor) * factor)
    elif h * w < min_pixels:
        beta = math.sqrt(min_pixels / (height * width))
        h = math.ceil(height * beta / factor) * factor
        w = math.ceil(width * beta / factor) * factor
    return h, w

RULES = [(28, 3136, 12845056), (28, 3136, 1003520), (28, 200704, 401408), (32, 65536, 1048576)]
SIDES = [1, 14, 27, 42, 61, 70, 126, 366, 812, 1080, 1441, 1920, 2161, 6325]
print("# factor min_pixels max_pixels width height: resized width, resized height")
for factor, lo, hi in RULES:
    for width in SIDES:
        for height in SIDES:
            if max(width, height) / min(width, height) > 200:
                continue
            h, w = smart_resize(height, width, factor, lo, hi)
            if max(w, h) / min(w, h) > 200:
                continue
            print(factor, lo, hi, width, height, w, h)
