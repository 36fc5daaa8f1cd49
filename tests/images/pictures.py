"""A picture of four colours, for the tests of reading and saving."""

import numpy as np

WIDTH, HEIGHT = 48, 32
QUADRANTS = np.array(  # upper left, upper right, lower left, lower right
    [[(200, 30, 40), (30, 180, 60)], [(40, 60, 210), (230, 220, 50)]], dtype=np.uint8
)
GREYS = np.array([[30, 90], [150, 220]], dtype=np.uint8)


def expand(corners: np.ndarray) -> np.ndarray:
    return np.repeat(np.repeat(corners, HEIGHT // 2, 0), WIDTH // 2, 1)


def corners(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    rows, columns = [height // 4, 3 * height // 4], [width // 4, 3 * width // 4]
    return picture[np.ix_(rows, columns)].astype(int)
